"""One nftables table per daemon: address translation, isolation between bridges, published ports.

The rules are written once; networks and ports are elements of its sets and maps, so that publishing a port is one
small change that cannot disturb another. Nothing outside the table is touched.
"""

from __future__ import annotations

from collections.abc import Iterable

from lamina.errors import LaminaError
from lamina.network.model import Network, PortBinding
from lamina.network.neighbours import admit, dismiss
from lamina.network.nftables import Nft

# In words. raw: what comes from a bridge may not claim the host's loopback (route_localnet opens it to us alone).
# publish: a connection to any of the host's own addresses goes to the container. postrouting: containers go out under
# the host's address; a container that reaches a published port of its own network, and the host's loopback, are
# hidden behind the bridge, so that answers come back this way. forward: bridges are closed to each other and to the
# outside, except for answers and published ports; internal ones are closed for good.
_RULES = """\
add table ip {table}
delete table ip {table}
table ip {table} {{
  set bridges {{ type ifname; }}
  set internal {{ type ifname; }}
  set same {{ type ifname . ifname; }}
  set subnets {{ type ipv4_addr; flags interval; }}
  map any {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
  map bound {{ type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }}
  chain raw {{
    type filter hook prerouting priority raw; policy accept;
    iifname @bridges ip daddr 127.0.0.0/8 drop
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
    oifname != @bridges ip saddr @subnets masquerade
    oifname @bridges ct status dnat ip saddr @subnets masquerade
    oifname @bridges ip saddr 127.0.0.0/8 masquerade
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    iifname . oifname @same accept
    iifname @internal drop
    oifname @internal drop
    oifname @bridges ct state established,related accept
    oifname @bridges ct status dnat accept
    oifname @bridges drop
  }}
}}
"""


class Firewall:
    """The table named `table`; `open` makes it anew, replacing what a crashed daemon left."""

    def __init__(self, nft: Nft, table: str) -> None:
        self._nft = nft
        self.table = table

    def open(self) -> None:
        """Makes the table with its chains and rules, empty of networks and ports, in place of an earlier engine's."""
        self._nft.run(_RULES.format(table=self.table))

    def remove(self) -> None:
        """Takes the table away; fine when it is gone already."""
        self._nft.run(f"add table ip {self.table}\ndelete table ip {self.table}\n")

    def close(self) -> None:
        """Frees the connection to the kernel; the table stays."""
        self._nft.close()

    def add_network(self, network: Network) -> None:
        """Lets a bridge take part; again is fine."""
        self._elements("add", self._network_elements(network))
        admit(self._nft, network.bridge)

    def remove_network(self, network: Network) -> None:
        """Raises Internal where it did not take part."""
        dismiss(self._nft, network.bridge)
        self._elements("delete", self._network_elements(network))

    def _network_elements(self, network: Network) -> list[tuple[str, str]]:
        name = f'"{network.bridge}"'
        elements = [("bridges", name), ("same", f"{name} . {name}")]
        if network.internal:
            elements.append(("internal", name))
        elif network.options.get("com.docker.network.bridge.enable_ip_masquerade", "true") != "false":
            elements.extend(("subnets", subnet.subnet) for subnet in network.ipam.subnets)
        return elements

    def publish(self, ip: str, ports: Iterable[PortBinding]) -> None:
        """Sends what reaches the bindings' host ports to `ip`. IPv6 host addresses are not this table's matter."""
        self._elements(
            "add", [(m, f"{key} : {ip} . {port.container_port}") for port in ports for m, key in _keys(port)]
        )

    def unpublish(self, ports: Iterable[PortBinding]) -> None:
        """Takes bindings away, those that are not there too."""
        for port in ports:
            for name, key in _keys(port):
                try:
                    self._elements("delete", [(name, key)])
                except LaminaError:
                    continue  # never published, or swept with the table

    def _elements(self, verb: str, elements: Iterable[tuple[str, str]]) -> None:
        commands = [f"{verb} element ip {self.table} {name} {{ {value} }}" for name, value in elements]
        if commands:
            self._nft.run("\n".join(commands) + "\n")


def _keys(port: PortBinding) -> list[tuple[str, str]]:
    if ":" in port.host_ip:
        return []
    service = f"{port.proto} . {port.host_port}"
    return [("any", service)] if port.host_ip in ("", "0.0.0.0") else [("bound", f"{port.host_ip} . {service}")]
