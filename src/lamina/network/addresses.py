"""Choosing addresses: free subnets from pools, free hosts from a subnet. Pure functions on IPv4 text."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

from lamina.api.networks import Subnet
from lamina.errors import Conflict, InvalidInput

IPv4Network = ipaddress.IPv4Network

# What Docker takes networks from when daemon.json has no default-address-pools.
DEFAULT_POOLS: tuple[tuple[str, int], ...] = (
    *((f"172.{second}.0.0/16", 16) for second in range(17, 32)),
    ("192.168.0.0/16", 20),
)


def parse_subnet(text: str) -> IPv4Network:
    """Return the network that `text` (CIDR, host bits allowed) lies in. Raise InvalidInput."""
    try:
        return ipaddress.IPv4Network(text, strict=False)
    except ValueError as error:
        raise InvalidInput(f"invalid subnet {text!r}: {error}") from error


def parse_address(text: str) -> ipaddress.IPv4Address:
    """Raise InvalidInput for anything but an IPv4 address."""
    try:
        return ipaddress.IPv4Address(text)
    except ValueError as error:
        raise InvalidInput(f"invalid IPv4 address {text!r}") from error


def free_subnet(pools: Sequence[tuple[str, int]], taken: Iterable[IPv4Network]) -> IPv4Network:
    """Return the first subnet of `pools` (base, prefix length) that overlaps nothing in `taken`. Raise Conflict."""
    avoid = list(taken)
    for candidate in _candidates(pools):
        if not any(candidate.overlaps(other) for other in avoid):
            return candidate
    raise Conflict(
        "all predefined address pools have been fully subnetted",
        advice="Name a subnet, or widen default-address-pools in daemon.json",
    )


def _candidates(pools: Sequence[tuple[str, int]]) -> Iterator[IPv4Network]:
    for base, prefix in pools:
        network = parse_subnet(base)
        if not network.prefixlen <= prefix <= 30:
            raise InvalidInput(f"address pool {base} cannot be cut into /{prefix} networks")
        yield from network.subnets(new_prefix=prefix)


def complete(subnet: Subnet, taken: Iterable[IPv4Network]) -> Subnet:
    """Check `subnet` and choose its gateway: the first host of the range. Raise InvalidInput or Conflict."""
    network = parse_subnet(subnet.subnet)
    for other in taken:
        if network.overlaps(other):
            raise Conflict("Pool overlaps with other one on this address space", subnet=str(network), other=str(other))
    span = _range(subnet, network)
    gateway = parse_address(subnet.gateway) if subnet.gateway else _first_host(span, network)
    if gateway not in network:
        raise InvalidInput(f"gateway {gateway} is not in the subnet {network}")
    return Subnet(subnet=str(network), ip_range=subnet.ip_range, gateway=str(gateway), reserved=subnet.reserved)


def _range(subnet: Subnet, network: IPv4Network) -> IPv4Network:
    if not subnet.ip_range:
        return network
    span = parse_subnet(subnet.ip_range)
    if not span.subnet_of(network):
        raise InvalidInput(f"IP range {span} is not in the subnet {network}")
    return span


def _first_host(span: IPv4Network, network: IPv4Network) -> ipaddress.IPv4Address:
    first = span.network_address
    return first + 1 if first == network.network_address else first


def choose_address(subnet: Subnet, used: set[str], last: str = "", requested: str = "") -> str:
    """Return an address of `subnet` that is not in `used`: `requested` itself, else the first one after `last`, going
    around.

    Raise InvalidInput where `requested` is outside, Conflict where it is in use or nothing is left.
    """
    network = parse_subnet(subnet.subnet)
    barred = used | {subnet.gateway} | set(subnet.reserved.values())
    if requested:
        if parse_address(requested) not in network:
            raise InvalidInput(f"invalid address {requested}: It does not belong to any of this network's subnets")
        if requested in barred:
            raise Conflict("Address already in use", address=requested)
        return requested
    return _next_free(_range(subnet, network), network, barred, last)


def _next_free(span: IPv4Network, network: IPv4Network, barred: set[str], last: str) -> str:
    low, high = int(span.network_address), int(span.broadcast_address)
    edges = {int(network.network_address), int(network.broadcast_address)}
    start = int(ipaddress.IPv4Address(last)) + 1 if last else low
    for number in (*range(max(start, low), high + 1), *range(low, max(start, low))):
        text = str(ipaddress.IPv4Address(number))
        if number not in edges and text not in barred:
            return text
    raise Conflict(f"no available IPv4 addresses on the network's address pool {span}")


def mac_of(ip: str) -> str:
    """Return the locally administered MAC that Docker derives from an IPv4 address: 02:42 and its four bytes."""
    return "02:42:" + ":".join(f"{byte:02x}" for byte in ipaddress.IPv4Address(ip).packed)
