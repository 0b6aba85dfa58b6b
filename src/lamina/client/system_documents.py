"""What a daemon says of itself, its machine, its disk and its events."""

from __future__ import annotations

from lamina.client.documents import Document, Field, number, text, texts
from lamina.light import Mapping


class Version(Document):
    """The versions of a daemon and of its parts."""

    version = text("Version")
    kernel = text("KernelVersion")
    architecture = text("Arch")


class Machine(Document):
    """The part of a daemon's info that is about its machine."""

    name = text("Name")
    kernel = text("KernelVersion")
    system = text("OperatingSystem")
    architecture = text("Architecture")
    cpus = number("NCPU")
    memory = number("MemTotal")


class Info(Document):
    """What a daemon and its machine are."""

    id = text("ID")
    version = text("ServerVersion")
    machine = Field(Machine)
    root = text("DockerRootDir")
    runtime = text("DefaultRuntime")
    running = number("ContainersRunning")
    paused = number("ContainersPaused")
    stopped = number("ContainersStopped")
    images = number("Images")
    labels = texts("Labels")
    warnings = texts("Warnings")

    @property
    def driver(self) -> str:
        """Return what stores snapshots: lamina's name of it, else Docker's."""
        rows = self.get("DriverStatus") or ()
        return next((str(value) for name, value in rows if name == "Snapshots"), str(self["Driver"]))


class DiskUsage(Document):
    """What takes a daemon's disk."""

    @property
    def layers_size(self) -> int:
        """Return the bytes of the files in all layers, each layer once."""
        usage = self.get("ImageUsage") or self.get("ImagesDiskUsage") or {}
        return int(self.get("LayersSize") or usage.get("TotalSize") or 0)

    @property
    def containers(self) -> Mapping[str, int]:
        """Return the bytes of the files that each container changed, by its ID."""
        return {item["Id"]: int(item.get("SizeRw") or 0) for item in self.get("Containers") or ()}

    @property
    def volumes(self) -> Mapping[str, int]:
        """Return the bytes of each volume, by its name."""
        return {item["Name"]: int((item.get("UsageData") or {}).get("Size", 0)) for item in self.get("Volumes") or ()}

    @property
    def remote_layers(self) -> Mapping[str, int]:
        """Return the bytes that the explorer keeps of each layer at a registry; Docker's daemon has none."""
        return {item["Name"]: int(item["Size"]) for item in self.get("RemoteLayers") or ()}


class Event(Document):
    """One thing that happened."""

    type = text("Type")
    action = text("Action")
    actor_id = Field(lambda document: str(document["Actor"]["ID"]))
    attributes = Field[Mapping[str, str]](lambda document: dict(document["Actor"].get("Attributes") or {}))
    time_ns = number("timeNano")
