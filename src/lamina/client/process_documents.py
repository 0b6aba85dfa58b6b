"""What the daemon said of what runs in containers: usage, processes, commands, files."""

from __future__ import annotations

from lamina.client.documents import Document, Field, number, text, texts, truth
from lamina.light import Mapping


class ContainerStats(Document):
    """What a container uses at one moment."""

    id = text("id")
    name = Field(lambda document: str(document["name"]).removeprefix("/"))
    read = text("read")
    cpu_total = Field(lambda document: int(document["cpu_stats"]["cpu_usage"]["total_usage"]))
    memory_usage = Field(lambda document: int(document["memory_stats"].get("usage", 0)))
    memory_limit = Field(lambda document: int(document["memory_stats"].get("limit", 0)))
    pids = Field(lambda document: int(document["pids_stats"].get("current", 0)))
    networks = Field[Mapping[str, Mapping[str, int]]](lambda document: dict(document.get("networks") or {}))

    @property
    def cpu_percent(self) -> float:
        """Return the CPU time since the previous reading; 100.0 is one CPU. 0.0 without a previous reading."""
        now, before = self["cpu_stats"], self["precpu_stats"]
        machine = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
        if not before.get("system_cpu_usage") or machine <= 0:
            return 0.0
        share = (self.cpu_total - before["cpu_usage"]["total_usage"]) / machine
        return float(share * (now.get("online_cpus") or 1) * 100)


class Processes(Document):
    """A container's processes as ps(1) shows them."""

    titles = texts("Titles")
    rows = Field[tuple[tuple[str, ...], ...]](lambda document: tuple(map(tuple, document["Processes"] or ())))


class Change(Document):
    """A file that a container changed in its image."""

    path = text("Path")
    kind = Field(lambda document: "CAD"[document["Kind"]])


class PathStat(Document):
    """A path in a container."""

    name = text("name")
    size = number("size")
    mode = number("mode")
    mtime = text("mtime")
    link_target = text("linkTarget")


class ExecDetails(Document):
    """A command beside a container's own."""

    id = text("ID")
    container_id = text("ContainerID")
    running = truth("Running")
    exit_code = Field[int | None](lambda document: document["ExitCode"])
    pid = number("Pid")
