"""The values of this room: networks, endpoints, bindings of ports. Frozen, JSON-able, without behaviour."""

from __future__ import annotations

import msgspec

from lamina.api.networks import Ipam

HOST = "host"
NONE = "none"
DEFAULT = "bridge"
PREDEFINED = frozenset({DEFAULT, HOST, NONE})


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """A network as it is kept. `driver` is `bridge`, `host` or `null`; `bridge` the kernel's name of the interface."""

    id: str
    name: str
    driver: str
    created: str
    internal: bool = False
    attachable: bool = False
    enable_ipv6: bool = False
    ipam: Ipam = Ipam()
    labels: dict[str, str] = {}
    options: dict[str, str] = {}
    bridge: str = ""

    @property
    def predefined(self) -> bool:
        """Return whether it is there from the start, and cannot be removed."""
        return self.name in PREDEFINED


class PortBinding(msgspec.Struct, frozen=True, kw_only=True):
    """A published port: `host_ip` "" means every address, IPv4 and IPv6; `host_port` 0 means any free one.

    `host_port_end` above `host_port` gives a range to choose a free port from. `proto` is tcp, udp or sctp.
    """

    container_port: int
    proto: str = "tcp"
    host_ip: str = ""
    host_port: int = 0
    host_port_end: int = 0


class EndpointOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What may be asked of a new endpoint. Empty text means: choose."""

    ip: str = ""
    mac: str = ""
    aliases: tuple[str, ...] = ()
    ports: tuple[PortBinding, ...] = ()


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A sandbox's place in one network. `prefix` in bits; `ports` as they were published, host ports filled in."""

    id: str
    sandbox_id: str
    network_id: str
    network: str
    interface: str = ""
    host_interface: str = ""
    ip: str = ""
    prefix: int = 0
    gateway: str = ""
    mac: str = ""
    aliases: tuple[str, ...] = ()
    ports: tuple[PortBinding, ...] = ()
    requested_ip: str = ""
