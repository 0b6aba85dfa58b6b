"""What the daemon said of containers, from a list and from inspect."""

from __future__ import annotations

from lamina.client.documents import Document, Field, number, text, text_map, texts, time, truth
from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lamina.api.containers import Config, HostConfig, PortHost


class Mount(Document):
    """A volume or bind of a container."""

    type = text("Type")
    name = text("Name")
    source = text("Source")
    destination = text("Destination")
    rw = truth("RW")


class ContainerNetwork(Document):
    """A container's place in a network."""

    network_id = text("NetworkID")
    ip_address = text("IPAddress")
    gateway = text("Gateway")
    ipv6_address = text("GlobalIPv6Address")
    ipv6_gateway = text("IPv6Gateway")
    mac_address = text("MacAddress")
    aliases = texts("Aliases")


class ContainerState(Document):
    """How a container's process is, or how it ended."""

    status = text("Status")
    running = truth("Running")
    pid = number("Pid")
    exit_code = number("ExitCode")
    error = text("Error")
    oom_killed = truth("OOMKilled")
    started_at = text("StartedAt")
    finished_at = text("FinishedAt")
    health_status = Field(lambda document: str((document.get("Health") or {}).get("Status") or ""))


class _Container(Document):
    id = text("Id")
    labels = text_map("Labels")
    mounts = Field(lambda document: tuple(Mount(item) for item in document.get("Mounts") or ()))
    size_rw = Field[int | None](lambda document: document.get("SizeRw"))
    size_root_fs = Field[int | None](lambda document: document.get("SizeRootFs"))

    @property
    def networks(self) -> Mapping[str, ContainerNetwork]:
        """Return the container's places in networks, by the network's name."""
        networks = (self.get("NetworkSettings") or {}).get("Networks") or {}
        return {name: ContainerNetwork(item) for name, item in networks.items()}


class ContainerSummary(_Container):
    """A container from a list."""

    name = Field(lambda document: str((document.get("Names") or [""])[0]).removeprefix("/"))
    image = text("Image")
    image_id = text("ImageID")
    command = text("Command")
    created = time("Created")
    state = text("State")
    status = text("Status")
    running = Field(lambda document: document["State"] in ("running", "paused"))


class ContainerDetails(_Container):
    """A container from inspect."""

    name = Field(lambda document: str(document["Name"]).removeprefix("/"))
    image = Field(lambda document: str(document["Config"]["Image"]))
    image_id = text("Image")
    command = Field[tuple[str, ...]](lambda document: (str(document["Path"]), *document["Args"]))
    created = text("Created")
    state = Field(lambda document: ContainerState(document["State"]))
    restart_count = number("RestartCount")
    running = Field(lambda document: document["State"]["Status"] in ("running", "paused"))
    tty = Field(lambda document: bool(document["Config"].get("Tty")))

    @property
    def exit_code(self) -> int | None:
        """Return the status that the container ended with; None where it did not end."""
        return self.state.exit_code if self.state.status == "exited" else None

    @property
    def config(self) -> Config:
        """Return the portable part of what the container was made with."""
        from lamina.api.containers import Config, decode

        return decode(self["Config"], Config)

    @property
    def host_config(self) -> HostConfig:
        """Return the part that depends on the host."""
        from lamina.api.containers import HostConfig, decode

        return decode(self["HostConfig"], HostConfig)

    @property
    def ports(self) -> Mapping[str, tuple[PortHost, ...] | None]:
        """Return the exposed ports, each with where it is published."""
        from lamina.api.containers import PortHost, decode

        ports = self["NetworkSettings"].get("Ports") or {}
        return {port: hosts and tuple(decode(host, PortHost) for host in hosts) for port, hosts in ports.items()}
