"""What a daemon says of itself, its machine, its disk and its events."""

from __future__ import annotations

from collections.abc import Mapping

from lamina.client.documents import Document


class Version(Document):
    """The versions of a daemon and of its parts."""

    __slots__ = ()

    @property
    def version(self) -> str:
        """Return the daemon's own version."""
        return str(self["Version"])

    @property
    def kernel(self) -> str:
        """Return the version of the machine's kernel."""
        return str(self.get("KernelVersion") or "")

    @property
    def architecture(self) -> str:
        """Return the architecture in Go's words, such as amd64."""
        return str(self.get("Arch") or "")


class Machine(Document):
    """The part of a daemon's info that is about its machine."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """Return the host's name."""
        return str(self["Name"])

    @property
    def kernel(self) -> str:
        """Return the kernel's version."""
        return str(self["KernelVersion"])

    @property
    def system(self) -> str:
        """Return the name of the operating system, for people."""
        return str(self["OperatingSystem"])

    @property
    def architecture(self) -> str:
        """Return the architecture in the kernel's words, such as x86_64."""
        return str(self["Architecture"])

    @property
    def cpus(self) -> int:
        """Return the number of processors."""
        return int(self["NCPU"])

    @property
    def memory(self) -> int:
        """Return bytes."""
        return int(self["MemTotal"])


class Info(Document):
    """What a daemon and its machine are."""

    __slots__ = ()

    @property
    def id(self) -> str:
        """Return the name of the daemon's data root, the same at each start."""
        return str(self.get("ID") or "")

    @property
    def version(self) -> str:
        """Return the daemon's version."""
        return str(self["ServerVersion"])

    @property
    def machine(self) -> Machine:
        """Return the host."""
        return Machine(self)

    @property
    def root(self) -> str:
        """Return the data root."""
        return str(self["DockerRootDir"])

    @property
    def driver(self) -> str:
        """Return what stores snapshots: lamina's name of it, else Docker's."""
        rows = self.get("DriverStatus") or ()
        return next((str(value) for name, value in rows if name == "Snapshots"), str(self["Driver"]))

    @property
    def runtime(self) -> str:
        """Return the OCI runtime that is used by default."""
        return str(self.get("DefaultRuntime") or "")

    @property
    def running(self) -> int:
        """Return the number of running containers."""
        return int(self["ContainersRunning"])

    @property
    def paused(self) -> int:
        """Return the number of paused containers."""
        return int(self["ContainersPaused"])

    @property
    def stopped(self) -> int:
        """Return the number of all other containers."""
        return int(self["ContainersStopped"])

    @property
    def images(self) -> int:
        """Return the number of images."""
        return int(self["Images"])

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the daemon's labels, such as "place=cellar"."""
        return tuple(self.get("Labels") or ())

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return sentences about what the machine lacks."""
        return tuple(self.get("Warnings") or ())


class DiskUsage(Document):
    """What takes a daemon's disk."""

    __slots__ = ()

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


class Event(Document):
    """One thing that happened."""

    __slots__ = ()

    @property
    def type(self) -> str:
        """Return the kind of object, such as "container"."""
        return str(self["Type"])

    @property
    def action(self) -> str:
        """Return what happened to it, such as "die"."""
        return str(self["Action"])

    @property
    def actor_id(self) -> str:
        """Return the ID of the object; the name where it has none."""
        return str(self["Actor"]["ID"])

    @property
    def attributes(self) -> Mapping[str, str]:
        """Return what else is known: the name, labels, the exit code."""
        return dict(self["Actor"].get("Attributes") or {})

    @property
    def time_ns(self) -> int:
        """Return nanoseconds since the epoch."""
        return int(self["timeNano"])
