"""The values of this room: networks, endpoints, bindings of ports. Frozen and JSON-able."""

from __future__ import annotations

import msgspec

from lamina.api.networks import Ipam, Subnet

HOST = "host"
NONE = "none"
DEFAULT = "bridge"
PREDEFINED = frozenset({DEFAULT, HOST, NONE})
TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})  # what Go's strconv.ParseBool takes
FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})


TRUSTED = "com.docker.network.bridge.trusted_host_interfaces"
ROUTERS = {4: "DefaultGatewayIPv4", 6: "DefaultGatewayIPv6"}  # reserved addresses of routers (moby's bridge driver)


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """A network as it is kept.

    `driver` is bridge, macvlan, ipvlan, host or null; `bridge` the interface of the host that is made for it, "" for
    none. A `borrowed` interface was there before the network, and outlives it.
    """

    id: str
    name: str
    driver: str
    created: str
    internal: bool = False
    attachable: bool = False
    enable_ipv4: bool = True
    enable_ipv6: bool = False
    ipam: Ipam = Ipam()
    labels: dict[str, str] = {}
    options: dict[str, str] = {}
    bridge: str = ""
    borrowed: bool = False

    @property
    def predefined(self) -> bool:
        """Return whether the network exists from the start, and cannot be removed."""
        return self.name in PREDEFINED

    @property
    def versions(self) -> tuple[int, ...]:
        """Return the IP versions its containers have addresses of."""
        return (*((4,) if self.enable_ipv4 else ()), *((6,) if self.enable_ipv6 else ()))

    def subnet(self, version: int) -> Subnet | None:
        """Return its first subnet of an IP version, None where it has none."""
        if version not in self.versions:
            return None
        return next((subnet for subnet in self.ipam.subnets if (":" in subnet.subnet) == (version == 6)), None)

    def way_out(self, version: int) -> str:
        """Return the router of its containers, "" for none: the host, unless a reserved address names another."""
        subnet = self.subnet(version)
        return (subnet.reserved.get(ROUTERS[version]) or subnet.gateway) if subnet is not None else ""

    def gateway_mode(self, version: int) -> str:
        """Return how its containers reach the outside: `nat`, `nat-unprotected`, `routed` or `isolated`."""
        return self.options.get(f"com.docker.network.bridge.gateway_mode_ipv{version}") or "nat"

    @property
    def trusted_interfaces(self) -> tuple[str, ...]:
        """Return the host's interfaces by which others reach published ports at its containers' own addresses."""
        return tuple(filter(None, self.options.get(TRUSTED, "").split(":")))

    def flag(self, option: str, default: bool) -> bool:
        """Return a truth value of its options, which were checked when it was made."""
        text = self.options.get(option)
        return default if text is None else text in TRUE


class PortBinding(msgspec.Struct, frozen=True, kw_only=True):
    """A published port: `host_ip` "" means every address, IPv4 and IPv6; `host_port` 0 means any free one.

    `host_port_end` above `host_port` gives a range to choose a free port from. `proto` is tcp, udp or sctp. Once it is
    published, `container_ip` is the container's address; a port of a routed network then has `host_port` 0.
    """

    container_port: int
    proto: str = "tcp"
    host_ip: str = ""
    host_port: int = 0
    host_port_end: int = 0
    container_ip: str = ""

    @property
    def version(self) -> int:
        """Return the IP version of the container's address."""
        return 6 if ":" in self.container_ip else 4


class PortTargets(msgspec.Struct, frozen=True, kw_only=True):
    """Where an endpoint's published ports lead: from IPv4 and from IPv6 addresses of the host, "" for nowhere.

    The `routed` IP versions are reached at the container's address alone. `host_ip` is for ports that name no address.
    """

    ipv4: str = ""
    ipv6: str = ""
    routed: tuple[int, ...] = ()
    host_ip: str = ""


class EndpointOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What may be asked of a new endpoint. Empty text means: choose.

    `sysctls` are `net.ipv4.IFNAME.name=value`, with IFNAME for the interface. The endpoint with the highest
    `gw_priority` becomes the way out. `ports` are the sandbox's: they are published where its way out is. `names` lead
    to it in its network; the first of them is the answer to reverse lookups. `links` are names that only its
    own sandbox knows, each with the name that it stands for.
    """

    ip: str = ""
    ipv6: str = ""
    link_local_ips: tuple[str, ...] = ()
    without_ipv6: bool = False
    mac: str = ""
    interface: str = ""
    sysctls: tuple[str, ...] = ()
    gw_priority: int = 0
    aliases: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    ports: tuple[PortBinding, ...] = ()


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A sandbox's place in one network. Prefixes in bits; `ports` as they were published, host ports filled in.

    A family of addresses that the network does not have is empty. A gateway is empty where no way leads out, or where
    it leads out without one (`on_link`). `requested_ports` are what is published wherever the sandbox's way out is.
    """

    id: str
    sandbox_id: str
    network_id: str
    network: str
    interface: str = ""
    host_interface: str = ""
    ip: str = ""
    prefix: int = 0
    gateway: str = ""
    ipv6: str = ""
    ipv6_prefix: int = 0
    ipv6_gateway: str = ""
    link_local_ips: tuple[str, ...] = ()
    mac: str = ""
    aliases: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    ports: tuple[PortBinding, ...] = ()
    requested_ip: str = ""
    requested_ipv6: str = ""
    requested_ports: tuple[PortBinding, ...] = ()
    port_targets: PortTargets = PortTargets()
    sysctls: tuple[str, ...] = ()
    gw_priority: int = 0
    on_link: bool = False

    def address(self, version: int) -> str:
        """Return its address of an IP version in CIDR form, "" where it has none."""
        ip, prefix = (self.ip, self.prefix) if version == 4 else (self.ipv6, self.ipv6_prefix)
        return f"{ip}/{prefix}" if ip else ""

    def leads_out(self, version: int) -> bool:
        """Return whether a default route of an IP version may go through it."""
        return bool(self.address(version)) and (self.on_link or bool(self.gateway_of(version)))

    def gateway_of(self, version: int) -> str:
        """Return its gateway of an IP version, "" for none."""
        return self.gateway if version == 4 else self.ipv6_gateway
