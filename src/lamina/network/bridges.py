"""What a bridge network is on the host: an interface, forwarding allowed, rules in the table."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, unquote

from lamina.network.addresses import mac_of, parse_subnet
from lamina.network.driver_options import BRIDGE, MTU
from lamina.network.firewall import Firewall
from lamina.network.forwarding import PacketForwarding
from lamina.network.links import Links
from lamina.network.model import Endpoint, Network

_NOTE = "bridge-"


class Bridges:
    """The driver of bridge networks: a bridge for each, and a pair of veth interfaces for each container."""

    def __init__(self, links: Links, firewall: Firewall, forwarding: PacketForwarding) -> None:
        self._links = links
        self._firewall = firewall
        self._forwarding = forwarding
        self.mtu = links.default_mtu()

    def make(self, network: Network) -> None:
        """Make the rules, and then the bridge that they isolate."""
        self._firewall.add_network(network)
        try:
            self._make_interface(network)
        except BaseException:
            self._firewall.remove_network(network)
            raise

    def _make_interface(self, network: Network) -> None:
        addresses, first_gateway = [], ""
        for version in network.versions:
            subnet = network.subnet(version)
            inhibited = version == 4 and network.flag(f"{BRIDGE}inhibit_ipv4", False)
            if subnet is not None and subnet.gateway and network.gateway_mode(version) != "isolated" and not inhibited:
                first_gateway = first_gateway or subnet.gateway
                addresses.append(f"{subnet.gateway}/{parse_subnet(subnet.subnet).prefixlen}")
        mac = mac_of(first_gateway) if first_gateway else ""
        self._links.ensure_bridge(network.bridge, addresses, mac, self.mtu_of(network))
        for version in network.versions:
            self._forwarding.allow(version)
        if network.enable_ipv4:
            # Connections from the host's own 127.0.0.1 are translated to go out here; see the table's `raw` chain.
            Path(f"/proc/sys/net/ipv4/conf/{network.bridge}/route_localnet").write_text("1")

    def mtu_of(self, network: Network) -> int:
        """Return the network's MTU in bytes: what its options say, else the default route's."""
        return int(network.options.get(MTU) or 0) or self.mtu

    def remove(self, network: Network) -> None:
        if not network.borrowed:
            self._links.remove(network.bridge)
        self._firewall.remove_network(network)

    def attach(self, network: Network, endpoint: Endpoint, namespace: Path) -> None:
        isolated = not network.flag(f"{BRIDGE}enable_icc", True)
        names = (endpoint.host_interface, network.bridge, namespace, endpoint.interface)
        self._links.add_veth(*names, endpoint.mac, self.mtu_of(network), isolated)

    def detach(self, endpoint: Endpoint, namespace: Path) -> None:
        self._links.remove(endpoint.host_interface)


class Unsettled:
    """Bridges that are being made or removed, each a file in `directory`, below the exec root: when the engine dies in
    between, the interface may be there, and no network tells of it. After a reboot both are gone."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory = directory

    @contextmanager
    def noted(self, bridge: str) -> Iterator[None]:
        """Note for the time of the block that `bridge` may be there or not. "" stands for none."""
        if not bridge:
            yield
            return
        note = self._directory / f"{_NOTE}{quote(bridge, safe='')}"
        note.touch(mode=0o400)
        try:
            yield
        finally:
            note.unlink(missing_ok=True)

    def sweep(self, live_bridges: Container[str], remove: Callable[[str], None]) -> None:
        """Have `remove` delete the bridges that a dead engine was making or deleting, except `live_bridges`."""
        for note in list(self._directory.iterdir()):
            bridge = unquote(note.name.removeprefix(_NOTE))
            if bridge not in live_bridges:
                remove(bridge)
            note.unlink(missing_ok=True)
