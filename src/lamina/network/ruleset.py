"""The packet filter of one daemon as a value: its networks and published ports, and the nftables text they come to.

The text of a whole ruleset replaces the table in one transaction (nft(8), "atomic rule replacement"), so that there is
no moment without rules: not at a start, not after a crash. Networks and ports are elements of sets and maps, so that
the difference of two rulesets is a small transaction too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from lamina.network.model import Network, PortBinding

# Why each chain is there:
# raw: what does not come from the loopback neither goes to it nor claims to come from it (route_localnet on our bridges
#   would let both through). A container sends from addresses that are reached through its own bridge, and does not tell
#   the host where to send packets.
# direct: other machines reach a container by its published ports, never by its address, even when they route it here.
# publish: a connection to one of the host's own addresses goes to the container.
# postrouting: containers go out under the host's address. A client in one of our networks, and the host's loopback, are
#   hidden behind the bridge, so that the answers come back this way.
# forward: decided for each packet by the ports that are published now, and never by "established" alone: a connection
#   that should not be there does not live on. What is routed back into the network it came from passes, unless
#   containers may not talk to each other. Internal networks are closed for good, and so is IPv6: no network has it.
_TABLE = """\
table inet {table} {{
{sets}
  chain raw {{
    type filter hook prerouting priority raw; policy accept;
    iifname != "lo" ip daddr 127.0.0.0/8 drop
    iifname != "lo" ip saddr 127.0.0.0/8 drop
    iifname @bridges fib saddr . iif oif missing drop
    iifname @bridges icmpv6 type {{ nd-router-advert, nd-redirect }} drop
  }}
  chain direct {{
    type filter hook prerouting priority mangle; policy accept;
    iifname "lo" accept
    iifname @bridges accept
    ip daddr @subnets ct direction original drop
  }}
  chain publish {{
    dnat ip to ip daddr . meta l4proto . th dport map @bound
    dnat ip to meta l4proto . th dport map @any
  }}
  chain prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
    fib daddr type local jump publish
  }}
  chain output {{
    type nat hook output priority -100; policy accept;
    fib daddr type local jump publish
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname != @bridges ip saddr @masqueraded masquerade
    oifname @bridges ct status dnat ip saddr @masqueraded masquerade
    oifname @bridges ip saddr 127.0.0.0/8 masquerade
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    iifname . oifname @same accept
    iifname @internal drop
    oifname @internal drop
    iifname @bridges meta nfproto ipv6 drop
    oifname @bridges meta nfproto ipv6 drop
    oifname != @bridges accept
    ct status dnat ct direction original ip daddr . meta l4proto . th dport @targets accept
    ct status dnat ct direction reply ip saddr . meta l4proto . th sport @targets accept
    ct status dnat ct state related meta l4proto icmp accept
    iifname != @bridges ct direction reply ct state established,related accept
    drop
  }}
}}
"""
_SETS = {
    "bridges": "set bridges { type ifname; ELEMENTS }",
    "same": "set same { type ifname . ifname; ELEMENTS }",
    "internal": "set internal { type ifname; ELEMENTS }",
    "subnets": "set subnets { type ipv4_addr; flags interval; ELEMENTS }",
    "masqueraded": "set masqueraded { type ipv4_addr; flags interval; ELEMENTS }",
    "targets": "set targets { type ipv4_addr . inet_proto . inet_service; ELEMENTS }",
    "any": "map any { type inet_proto . inet_service : ipv4_addr . inet_service; ELEMENTS }",
    "bound": "map bound { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; ELEMENTS }",
}

Elements = dict[str, dict[str, str]]  # by set: element, and for a map what the element leads to


@dataclass(frozen=True, slots=True)
class Ruleset:
    """All that the table named `table` stands for: networks by bridge, and by map and key the ports they publish."""

    table: str
    networks: Mapping[str, Network] = field(default_factory=dict)
    ports: Mapping[tuple[str, str], tuple[str, PortBinding]] = field(default_factory=dict)

    def with_network(self, network: Network) -> Ruleset:
        """Return the ruleset with a bridge network added, or brought up to date."""
        return replace(self, networks={**self.networks, network.bridge: network})

    def without_network(self, network: Network) -> Ruleset:
        """Return the ruleset without a network."""
        return replace(self, networks={name: other for name, other in self.networks.items() if name != network.bridge})

    def with_ports(self, ip: str, ports: Iterable[PortBinding]) -> Ruleset:
        """Return the ruleset that sends what reaches the host ports to the container at `ip`.

        Bindings of IPv6 addresses are left out: the proxy carries them.
        """
        added = {key: (ip, port) for port in ports if (key := _key(port)) is not None}
        return replace(self, ports={**self.ports, **added})

    def without_ports(self, ip: str, ports: Iterable[PortBinding]) -> Ruleset:
        """Return the ruleset without bindings of the container at `ip`; those of another container stay."""
        gone = {key for port in ports if (key := _key(port)) is not None and self.ports.get(key, ("",))[0] == ip}
        return replace(self, ports={key: value for key, value in self.ports.items() if key not in gone})

    def elements(self) -> Elements:
        """Return what is in each set and map."""
        elements: Elements = {name: {} for name in _SETS}
        for network in self.networks.values():
            for name, element in _network_elements(network):
                elements[name][element] = ""
        for (name, key), (ip, port) in self.ports.items():
            elements[name][key] = f" : {ip} . {port.container_port}"
            elements["targets"][f"{ip} . {port.proto} . {port.container_port}"] = ""
        return elements

    def replacement(self) -> str:
        """Return the commands that put this ruleset in the place of whatever the table holds."""
        lines = []
        for name, elements in self.elements().items():
            text = ", ".join(f"{key}{value}" for key, value in elements.items())
            lines.append("  " + _SETS[name].replace("ELEMENTS", f"elements = {{ {text} }}" if text else ""))
        return removal(self.table) + _TABLE.format(table=self.table, sets="\n".join(lines))

    def changes_to(self, other: Ruleset) -> str:
        """Return the commands that turn this ruleset's table into the `other`'s; "" where they are the same."""
        before, after = self.elements(), other.elements()
        commands = []
        for name in _SETS:
            gone = [key for key, value in before[name].items() if after[name].get(key) != value]
            new = [f"{key}{value}" for key, value in after[name].items() if before[name].get(key) != value]
            for verb, elements in (("delete", gone), ("add", new)):
                if elements:
                    commands.append(f"{verb} element inet {self.table} {name} {{ {', '.join(elements)} }}\n")
        return "".join(commands)


def removal(table: str) -> str:
    """Return the commands that remove the table, there or not. Earlier versions had one of the family ip."""
    return "".join(f"add table {family} {table}\ndelete table {family} {table}\n" for family in ("ip", "inet"))


def _network_elements(network: Network) -> list[tuple[str, str]]:
    name = f'"{network.bridge}"'
    subnets = [subnet.subnet for subnet in network.ipam.subnets]
    elements = [("bridges", name), *(("subnets", subnet) for subnet in subnets)]
    if network.options.get("com.docker.network.bridge.enable_icc", "true") != "false":
        elements.append(("same", f"{name} . {name}"))
    if network.internal:
        elements.append(("internal", name))
    elif network.options.get("com.docker.network.bridge.enable_ip_masquerade", "true") != "false":
        elements.extend(("masqueraded", subnet) for subnet in subnets)
    return elements


def _key(port: PortBinding) -> tuple[str, str] | None:
    if ":" in port.host_ip:
        return None
    service = f"{port.proto} . {port.host_port}"
    return ("any", service) if port.host_ip in ("", "0.0.0.0") else ("bound", f"{port.host_ip} . {service}")
