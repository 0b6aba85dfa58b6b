"""What the daemon said of what runs in containers: usage, processes, commands, logs, files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from lamina.client.documents import Document


class ContainerStats(Document):
    """What a container uses at one moment."""

    __slots__ = ()

    @property
    def id(self) -> str:
        """Return the container's ID."""
        return str(self["id"])

    @property
    def name(self) -> str:
        """Return the container's name."""
        return str(self["name"]).removeprefix("/")

    @property
    def read(self) -> str:
        """When it was read, RFC 3339; the year 1 when the container does not run."""
        return str(self["read"])

    @property
    def cpu_total(self) -> int:
        """Return nanoseconds of CPU time that it has used since it was started."""
        return int(self["cpu_stats"]["cpu_usage"]["total_usage"])

    @property
    def cpu_percent(self) -> float:
        """CPU time since the previous reading; 100.0 is one CPU. 0.0 without a previous reading."""
        now, before = self["cpu_stats"], self["precpu_stats"]
        machine = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
        if not before.get("system_cpu_usage") or machine <= 0:
            return 0.0
        share = (self.cpu_total - before["cpu_usage"]["total_usage"]) / machine
        return float(share * (now.get("online_cpus") or 1) * 100)

    @property
    def memory_usage(self) -> int:
        """Return bytes of memory, file caches included."""
        return int(self["memory_stats"].get("usage", 0))

    @property
    def memory_limit(self) -> int:
        """Return bytes of memory that it may use; the machine's without a limit, 0 when it does not run."""
        return int(self["memory_stats"].get("limit", 0))

    @property
    def pids(self) -> int:
        """Return how many processes and threads it has."""
        return int(self["pids_stats"].get("current", 0))

    @property
    def networks(self) -> Mapping[str, Mapping[str, int]]:
        """Return the counters of each interface."""
        return dict(self.get("networks") or {})


class Processes(Document):
    """A container's processes as ps(1) shows them."""

    __slots__ = ()

    @property
    def titles(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        return tuple(self["Titles"])

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """Return one row for each process."""
        return tuple(tuple(row) for row in self["Processes"] or ())


class Change(Document):
    """A file that a container changed in its image."""

    __slots__ = ()

    @property
    def path(self) -> str:
        """Return its path in the container."""
        return str(self["Path"])

    @property
    def kind(self) -> str:
        """ "A" added, "C" changed, "D" deleted."""
        return "CAD"[self["Kind"]]


class PathStat(Document):
    """A path in a container."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """Return the path's last part."""
        return str(self["name"])

    @property
    def size(self) -> int:
        """Return bytes."""
        return int(self["size"])

    @property
    def mode(self) -> int:
        """Kind and permissions as Go's os.FileMode has them."""
        return int(self["mode"])

    @property
    def mtime(self) -> str:
        """When it was last written, RFC 3339."""
        return str(self["mtime"])

    @property
    def link_target(self) -> str:
        """Return where a symlink leads in the end; "" for other kinds."""
        return str(self.get("linkTarget") or "")


class ExecDetails(Document):
    """A command beside a container's own."""

    __slots__ = ()

    @property
    def id(self) -> str:
        """Return the command's ID."""
        return str(self["ID"])

    @property
    def container_id(self) -> str:
        """Return the container's ID."""
        return str(self["ContainerID"])

    @property
    def running(self) -> bool:
        """Return whether it runs."""
        return bool(self["Running"])

    @property
    def exit_code(self) -> int | None:
        """Return the status it ended with; None until it has ended."""
        code: int | None = self["ExitCode"]
        return code

    @property
    def pid(self) -> int:
        """Return the process on the daemon's machine; 0 while none is there."""
        return int(self["Pid"])


class LogRecord(NamedTuple):
    """A message of a container: `stream` is stdout or stderr, `time` when it was logged, `data` with its line end."""

    stream: str
    time: str
    data: bytes


class WaitResult(NamedTuple):
    """What a wait ends with: the exit code, and why the container could not be removed or started, if so."""

    exit_code: int
    error: str = ""
