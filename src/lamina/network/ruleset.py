"""The packet filter of one daemon as a value: its networks and published ports, and the nftables text they come to.

The text of a whole ruleset replaces the table in one transaction (nft(8), "atomic rule replacement"), so that there is
no moment without rules: not at a start, not after a crash. Networks and ports are elements of sets and maps, so that
the difference of two rulesets is a small transaction too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network

from lamina.network.model import Network, PortBinding
from lamina.network.table import SET_NAMES, Elements, whole_table

_ANY = ("", "0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class Ruleset:
    """All that the table named `table` stands for: networks by bridge, and published ports by what identifies them.

    With `direct`, published ports are reached at the containers' addresses too, by whoever routes packets to them.
    """

    table: str
    direct: bool = False
    networks: Mapping[str, Network] = field(default_factory=dict)
    ports: Mapping[tuple[str, str], PortBinding] = field(default_factory=dict)

    def with_network(self, network: Network) -> Ruleset:
        """Return the ruleset with a bridge network added, or brought up to date."""
        return replace(self, networks={**self.networks, network.bridge: network})

    def without_network(self, network: Network) -> Ruleset:
        """Return the ruleset without a network."""
        return replace(self, networks={name: other for name, other in self.networks.items() if name != network.bridge})

    def with_ports(self, ports: Iterable[PortBinding]) -> Ruleset:
        """Return the ruleset that sends what reaches the host ports to the containers.

        Bindings between IPv4 and IPv6 are left out: the proxy carries them.
        """
        return replace(self, ports={**self.ports, **{key: port for port in ports if (key := _key(port)) is not None}})

    def without_ports(self, ports: Iterable[PortBinding]) -> Ruleset:
        """Return the ruleset without bindings; those that lead to another container meanwhile stay."""
        gone = {(_key(port), port.container_ip) for port in ports}
        rest = {key: port for key, port in self.ports.items() if (key, port.container_ip) not in gone}
        return replace(self, ports=rest)

    def elements(self) -> Elements:
        """Return what is in each set and map."""
        elements: Elements = {name: {} for name in SET_NAMES}
        for network in self.networks.values():
            for name, element in _network_elements(network, direct=self.direct):
                elements[name][element] = ""
            for version in network.versions:
                source, subnet = network.options.get(f"com.docker.network.host_ipv{version}"), network.subnet(version)
                if source and subnet is not None:
                    elements[f"sources{version}"][subnet.subnet] = f" : {source}"
        for (name, key), port in self.ports.items():
            target = f"{port.container_ip} . {port.proto} . {port.container_port}"
            if name == "opened":
                elements[f"opened{port.version}"][target] = ""
            else:
                elements[name][key] = f" : {port.container_ip} . {port.container_port}"
                elements[f"targets{port.version}"][target] = ""
                if self.direct:
                    elements[f"opened{port.version}"][target] = ""
                for interface in self._trusted_for(port):
                    elements[f"trusted{port.version}"][f'"{interface}" . {target}'] = ""
        return elements

    def _trusted_for(self, port: PortBinding) -> Iterator[str]:
        """Yield the interfaces that the network of a port's container trusts."""
        address = ip_address(port.container_ip)
        for network in self.networks.values():
            subnet = network.subnet(port.version)
            if network.trusted_interfaces and subnet is not None and address in ip_network(subnet.subnet, strict=False):
                yield from network.trusted_interfaces

    def replacement(self) -> str:
        """Return the commands that put this ruleset in the place of whatever the table holds."""
        return whole_table(self.table, self.elements())

    def changes_to(self, other: Ruleset) -> str:
        """Return the commands that turn this ruleset's table into the `other`'s; "" where they are the same."""
        before, after = self.elements(), other.elements()
        commands = []
        for name in SET_NAMES:
            gone = [key for key, value in before[name].items() if after[name].get(key) != value]
            new = [f"{key}{value}" for key, value in after[name].items() if before[name].get(key) != value]
            for verb, elements in (("delete", gone), ("add", new)):
                if elements:
                    commands.append(f"{verb} element inet {self.table} {name} {{ {', '.join(elements)} }}\n")
        return "".join(commands)


def _network_elements(network: Network, *, direct: bool) -> Iterator[tuple[str, str]]:
    name = f'"{network.bridge}"'
    yield "bridges", name
    if network.flag("com.docker.network.bridge.enable_icc", True):
        yield "same", f"{name} . {name}"
    if network.internal:
        yield "internal", name
    for version in network.versions:
        mode = network.gateway_mode(version)
        subnet = network.subnet(version)
        yield "served", f"{name} . ipv{version}"
        if mode == "routed":
            yield "routed", f"{name} . ipv{version}"
        elif mode == "nat-unprotected":
            yield "unprotected", f"{name} . ipv{version}"
        if subnet is None:
            continue
        if mode == "isolated":
            yield f"isolated{version}", f"{name} . {subnet.subnet}"
            if version == 6:
                yield "isolated6", f"{name} . fe80::/10"
        if mode not in ("routed", "nat-unprotected") and not direct:
            yield f"closed{version}", subnet.subnet
        masquerade = network.flag("com.docker.network.bridge.enable_ip_masquerade", True)
        if masquerade and mode != "routed" and not network.internal:
            yield f"masqueraded{version}", subnet.subnet


def _key(port: PortBinding) -> tuple[str, str] | None:
    """Return the name of the map and the key in it; None for what the proxy carries."""
    version = port.version
    if not port.host_port:
        return "opened", f"{port.container_ip} . {port.proto} . {port.container_port}"
    if port.host_ip and version != (6 if ":" in port.host_ip else 4):
        return None
    service = f"{port.proto} . {port.host_port}"
    return (f"any{version}", service) if port.host_ip in _ANY else (f"bound{version}", f"{port.host_ip} . {service}")
