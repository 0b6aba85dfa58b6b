"""The subnets of networks: what the pools, the other networks and the host's routes leave."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from lamina.api.networks import Subnet
from lamina.errors import Forbidden
from lamina.network.addresses import IPNetwork, parse_subnet
from lamina.network.links import Links
from lamina.network.machine_lock import lock_file
from lamina.network.model import Network
from lamina.network.subnets import Pools, complete, free_subnet, overlap


class Allocation:
    """Choose subnets and gateways. `pools` are (base, prefix length), IPv4 and IPv6."""

    def __init__(self, links: Links, pools: Pools) -> None:
        self._links = links
        self._pools = tuple(pools)

    def choose(self, network: Network, others: Sequence[Network]) -> Network:
        """Return `network` with a subnet and a gateway for each of its IP versions, others as they were asked for.

        Raise Forbidden where its addresses overlap those of `others`, InvalidInput where the pools have nothing left.
        """
        taken = [parse_subnet(s.subnet) for other in others for s in other.ipam.subnets if other.id != network.id]
        chosen: list[Subnet] = []
        for version in network.versions:
            named = [subnet for subnet in network.ipam.subnets if _version(subnet) == version]
            if network.driver == "bridge" and len(named) > 1:
                raise Forbidden("bridge driver doesn't support multiple subnets")
            for subnet in named or [Subnet()]:
                chosen.append(self._completed(subnet, version, network, taken))
                taken.append(parse_subnet(chosen[-1].subnet))
        unused = [subnet for subnet in network.ipam.subnets if _version(subnet) not in (0, *network.versions)]
        ipam = msgspec.structs.replace(network.ipam, subnets=(*chosen, *unused))
        return msgspec.structs.replace(network, ipam=ipam)

    def clashes(self, network: Network) -> bool:
        """Return whether the host has come to route a part of the network's addresses elsewhere."""
        own = [parse_subnet(subnet.subnet) for subnet in network.ipam.subnets]
        return any(overlap(subnet, routed) for subnet in own for routed in self._routed(network))

    def _completed(self, subnet: Subnet, version: int, network: Network, taken: Sequence[IPNetwork]) -> Subnet:
        gateway = network.driver == "bridge" and network.gateway_mode(version) != "isolated"
        if subnet.subnet and not parse_subnet(subnet.subnet).network_address.is_unspecified:
            return complete(subnet, taken, gateway=gateway)
        prefix = parse_subnet(subnet.subnet).prefixlen if subnet.subnet else 0
        free = free_subnet(self._pools, [*taken, *self._routed(network)], version, prefix)
        return complete(msgspec.structs.replace(subnet, subnet=str(free)), [], gateway=gateway)

    def _routed(self, network: Network) -> list[IPNetwork]:
        return self._links.routed_networks(frozenset({network.bridge}))


def _version(subnet: Subnet) -> int:
    """Return the IP version of a subnet, 0 where it is to be chosen."""
    return 0 if not subnet.subnet else 6 if ":" in subnet.subnet else 4


@contextmanager
def choosing() -> Iterator[None]:
    """Keep daemons that start at the same moment from choosing the same addresses: a lock for the whole machine."""
    with lock_file("lamina-addresses") as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
