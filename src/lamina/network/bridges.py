"""What a bridge network is on the host: addresses chosen, an interface, forwarding allowed, rules in the table."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path
from urllib.parse import quote, unquote

import msgspec

from lamina.api.networks import Ipam, Subnet
from lamina.errors import InvalidInput, Unsupported
from lamina.network.addresses import DEFAULT_POOLS, complete, free_subnet, mac_of, parse_subnet
from lamina.network.firewall import Firewall
from lamina.network.links import Links
from lamina.network.model import Network

_NOTE = "bridge-"


class Bridges:
    """Make and remove bridges. Thread-safe."""

    def __init__(self, links: Links, firewall: Firewall, pools: Sequence[tuple[str, int]] = ()) -> None:
        self._links = links
        self._firewall = firewall
        self._pools = tuple(pools) or DEFAULT_POOLS
        self._lock = threading.Lock()
        self.mtu = links.default_mtu()

    def make(self, network: Network, others: Sequence[Network]) -> Network:
        """Choose what is open in `network`'s addresses, and make its bridge. Return the completed network.

        Raise Conflict where its addresses overlap those of `others` or of the host's routes.
        """
        with self._lock, _choosing():
            chosen = self.choose(network, others)
            try:
                self.restore(chosen)
            except BaseException:
                self._firewall.remove_network(chosen)
                raise
        return chosen

    def choose(self, network: Network, others: Sequence[Network]) -> Network:
        """Return `network` with a subnet and a gateway."""
        taken = [parse_subnet(s.subnet) for other in others for s in other.ipam.subnets if other.id != network.id]
        asked = [subnet for subnet in network.ipam.subnets if subnet.subnet]
        if any(":" in subnet.subnet for subnet in asked):
            raise Unsupported("IPv6 subnets are not supported yet")
        if len(asked) > 1:
            raise InvalidInput("bridge networks take one IPv4 subnet")
        if asked:
            subnet = complete(asked[0], taken)
        else:
            routed = self._links.routed_networks(frozenset({network.bridge}))
            subnet = complete(Subnet(subnet=str(free_subnet(self._pools, [*taken, *routed]))), [])
        ipam = Ipam(driver="default", options=network.ipam.options, subnets=(subnet,))
        return msgspec.structs.replace(network, ipam=ipam)

    def clashes(self, network: Network) -> bool:
        """Return whether the host has come to route a part of the network's addresses elsewhere."""
        routed = self._links.routed_networks(frozenset({network.bridge}))
        return any(_overlaps(network, other) for other in routed)

    def restore(self, network: Network) -> None:
        """Make the rules of `network`, and then its bridge; what is there already stays."""
        self._firewall.add_network(network)
        subnet = network.ipam.subnets[0]
        prefix = parse_subnet(subnet.subnet).prefixlen
        self._links.ensure_bridge(network.bridge, subnet.gateway, prefix, mac_of(subnet.gateway), self.mtu_of(network))
        allow_forwarding()
        # Connections from the host's own 127.0.0.1 are translated to go out here; see the table's `raw` chain.
        Path(f"/proc/sys/net/ipv4/conf/{network.bridge}/route_localnet").write_text("1")

    def mtu_of(self, network: Network) -> int:
        """Return the network's MTU in bytes: what its options say, else the default route's."""
        text = network.options.get("com.docker.network.driver.mtu", "")
        return int(text) if text.isdigit() and int(text) else self.mtu

    def remove(self, network: Network) -> None:
        """Remove the bridge, and then its rules; parts that are gone already are ignored."""
        self._links.remove(network.bridge)
        self._firewall.remove_network(network)


class Unsettled:
    """Bridges that are being made or removed, each a file in `directory`, below the exec root: when the engine dies in
    between, the interface may be there, and no network tells of it. After a reboot both are gone."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory = directory

    @contextmanager
    def noted(self, bridge: str) -> Iterator[None]:
        """Note for the time of the block that `bridge` may be there or not."""
        note = self._directory / f"{_NOTE}{quote(bridge, safe='')}"
        note.touch(mode=0o400)
        try:
            yield
        finally:
            note.unlink(missing_ok=True)

    def sweep(self, live_bridges: Container[str], remove: Callable[[str], None]) -> None:
        """Have `remove` take away the bridges an engine was at when it died, except `live_bridges`."""
        for note in list(self._directory.iterdir()):
            bridge = unquote(note.name.removeprefix(_NOTE))
            if bridge not in live_bridges:
                remove(bridge)
            note.unlink(missing_ok=True)


def allow_forwarding() -> None:
    """Let the host route packets between its interfaces, as every container engine must. Off is the default."""
    switch = Path("/proc/sys/net/ipv4/ip_forward")
    if switch.read_text().strip() != "1":
        switch.write_text("1")


def _overlaps(network: Network, other: IPv4Network) -> bool:
    return any(parse_subnet(subnet.subnet).overlaps(other) for subnet in network.ipam.subnets)


@contextmanager
def _choosing() -> Iterator[None]:
    """Keep daemons that start at the same moment from choosing the same addresses: a lock for the whole machine."""
    folder = "/run/lock" if os.path.isdir("/run/lock") else "/run"
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(os.path.join(folder, "lamina-addresses"), flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
