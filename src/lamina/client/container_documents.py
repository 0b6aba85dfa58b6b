"""What the daemon said of containers, from a list and from inspect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lamina.client.documents import Document, Identified, moment

if TYPE_CHECKING:
    from lamina.api.containers import Config, HostConfig, PortHost


class Mount(Document):
    """A volume or bind of a container."""

    __slots__ = ()

    @property
    def type(self) -> str:
        """volume or bind."""
        return str(self["Type"])

    @property
    def name(self) -> str:
        """Return the volume's name; "" for a bind."""
        return str(self.get("Name") or "")

    @property
    def source(self) -> str:
        """Return where it comes from on the daemon's machine."""
        return str(self["Source"])

    @property
    def destination(self) -> str:
        """Return where it is in the container."""
        return str(self["Destination"])

    @property
    def rw(self) -> bool:
        """Return whether the container may write to it."""
        return bool(self["RW"])


class ContainerNetwork(Document):
    """A container's place in a network."""

    __slots__ = ()

    @property
    def network_id(self) -> str:
        """Return the network's ID."""
        return str(self["NetworkID"])

    @property
    def ip_address(self) -> str:
        """Return its IPv4 address; "" while it has none."""
        return str(self["IPAddress"])

    @property
    def gateway(self) -> str:
        """Return the network's gateway; "" while the container is not in it."""
        return str(self["Gateway"])

    @property
    def mac_address(self) -> str:
        """Return its hardware address, or the one that was asked for."""
        return str(self["MacAddress"])

    @property
    def aliases(self) -> tuple[str, ...]:
        """Return names that lead to the container in this network; the predefined networks have none."""
        return tuple(self.get("Aliases") or ())


class ContainerState(Document):
    """How a container's process is, or how it ended."""

    __slots__ = ()

    @property
    def status(self) -> str:
        """created, running, paused, restarting, removing, exited or dead."""
        return str(self["Status"])

    @property
    def running(self) -> bool:
        """Return whether it runs as Docker counts: paused and restarting containers do."""
        return bool(self["Running"])

    @property
    def pid(self) -> int:
        """Return the process on the daemon's machine; 0 while none is there."""
        return int(self["Pid"])

    @property
    def exit_code(self) -> int:
        """Return the status it last ended with."""
        return int(self["ExitCode"])

    @property
    def error(self) -> str:
        """Why it could not be started; "" when it could."""
        return str(self["Error"])

    @property
    def oom_killed(self) -> bool:
        """Return whether it was killed for want of memory."""
        return bool(self["OOMKilled"])

    @property
    def started_at(self) -> str:
        """When it was last started, RFC 3339; the year 1 if never."""
        return str(self["StartedAt"])

    @property
    def finished_at(self) -> str:
        """When it last ended, RFC 3339; the year 1 if never."""
        return str(self["FinishedAt"])

    @property
    def health_status(self) -> str:
        """starting, healthy or unhealthy; "" without a health check."""
        return str((self.get("Health") or {}).get("Status") or "")


class _Container(Identified):
    __slots__ = ()

    @property
    def labels(self) -> Mapping[str, str]:
        """Return its labels, with the image's."""
        return dict(self.get("Labels") or (self.get("Config") or {}).get("Labels") or {})

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """Return volumes and binds; no tmpfs."""
        return tuple(Mount(item) for item in self.get("Mounts") or ())

    @property
    def networks(self) -> Mapping[str, ContainerNetwork]:
        """Return its places in networks, by the network's name."""
        networks = (self.get("NetworkSettings") or {}).get("Networks") or {}
        return {name: ContainerNetwork(item) for name, item in networks.items()}

    @property
    def size_rw(self) -> int | None:
        """Return bytes of the files that it changed; None where not asked for."""
        return self.get("SizeRw")

    @property
    def size_root_fs(self) -> int | None:
        """Return bytes of its files with the image's; None where not asked for."""
        return self.get("SizeRootFs")


class ContainerSummary(_Container):
    """A container from a list."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """Return its name, without the slash that the API puts before it."""
        names = self.get("Names") or [""]
        return str(names[0]).removeprefix("/")

    @property
    def image(self) -> str:
        """Return the name it was made from, or the image's ID when that name means another image by now."""
        return str(self["Image"])

    @property
    def image_id(self) -> str:
        """Return the image's ID."""
        return str(self["ImageID"])

    @property
    def command(self) -> str:
        """Return the command as `ps` shows it."""
        return str(self["Command"])

    @property
    def created(self) -> str:
        """When it was made, RFC 3339 in whole seconds."""
        return moment(self["Created"])

    @property
    def state(self) -> str:
        """created, running, paused, restarting, removing, exited or dead."""
        return str(self["State"])

    @property
    def status(self) -> str:
        """Return the sentence that `ps` shows."""
        return str(self["Status"])

    @property
    def running(self) -> bool:
        """Return whether its process is there, paused or not."""
        return self.state in ("running", "paused")


class ContainerDetails(_Container):
    """A container from inspect."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """Return its name, without the slash that the API puts before it."""
        return str(self["Name"]).removeprefix("/")

    @property
    def image(self) -> str:
        """Return what it was made from, as it was named then."""
        return str(self["Config"]["Image"])

    @property
    def image_id(self) -> str:
        """Return the image's ID."""
        return str(self["Image"])

    @property
    def command(self) -> tuple[str, ...]:
        """Return what is run: the entrypoint, then the command."""
        return (str(self["Path"]), *self["Args"])

    @property
    def created(self) -> str:
        """When it was made, RFC 3339."""
        return str(self["Created"])

    @property
    def state(self) -> ContainerState:
        """Return how its process is, or how it ended."""
        return ContainerState(self["State"])

    @property
    def running(self) -> bool:
        """Return whether its process is there, paused or not."""
        return self.state.status in ("running", "paused")

    @property
    def exit_code(self) -> int | None:
        """Return the status it ended with; None where it did not end."""
        return self.state.exit_code if self.state.status == "exited" else None

    @property
    def restart_count(self) -> int:
        """Return how often its restart policy has started it."""
        return int(self["RestartCount"])

    @property
    def tty(self) -> bool:
        """Return whether it has a terminal, so that its output is one raw stream."""
        return bool(self["Config"].get("Tty"))

    @property
    def config(self) -> Config:
        """Return the portable part of what it was made with, completed by the image."""
        from lamina.api.containers import Config, decode

        return decode(self["Config"], Config)

    @property
    def host_config(self) -> HostConfig:
        """Return the part of what it was made with that depends on the host, completed by the defaults."""
        from lamina.api.containers import HostConfig, decode

        return decode(self["HostConfig"], HostConfig)

    @property
    def ports(self) -> Mapping[str, tuple[PortHost, ...] | None]:
        """Return its exposed ports; None for one that is not published."""
        from lamina.api.containers import PortHost, decode

        ports = self["NetworkSettings"].get("Ports") or {}
        return {port: hosts and tuple(decode(host, PortHost) for host in hosts) for port, hosts in ports.items()}
