"""Choosing addresses of subnets for containers and gateways, IPv4 and IPv6. Pure functions on text."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Container, Iterable
from itertools import chain

from lamina.api.networks import Subnet
from lamina.errors import Forbidden, InvalidInput, Unavailable

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_LARGEST = (1 << 64) - 1

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_subnet(text: str) -> IPNetwork:
    """Return the network that `text` (CIDR, host bits allowed) lies in. Raise InvalidInput."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise InvalidInput(f"invalid subnet {text!r}: {error}") from error


def parse_address(text: str) -> IPAddress:
    """Return the address. Raise InvalidInput for anything but an IPv4 or IPv6 address without a zone."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise InvalidInput(f"invalid IP address {text!r}") from error
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
        raise InvalidInput(f"invalid IP address {text!r}: an address has no zone")
    return address


def first_address(subnet: Subnet) -> str:
    """Return the first address of the subnet's range that may be given out."""
    return choose_address(subnet, frozenset())


def choose_address(subnet: Subnet, used: Container[str], last: str = "", requested: str = "") -> str:
    """Return an address of `subnet` that is not in `used`: `requested` itself, else the first one after `last`, going
    around.

    `used` and the answer are in the shortest form. Raise InvalidInput where `requested` is outside, Forbidden
    where it is in use, Unavailable where nothing is left.
    """
    network = parse_subnet(subnet.subnet)
    reserved = {str(parse_address(text)) for text in (subnet.gateway, *subnet.reserved.values()) if text}
    if requested:
        address = parse_address(requested)
        if address not in network:
            raise InvalidInput(f"invalid endpoint settings:\nno configured subnet contains IP address {requested}")
        if str(address) in reserved or str(address) in used:
            raise Forbidden("Address already in use", address=requested)
        return str(address)
    span = _range(subnet, network)
    low, high = int(span.network_address), int(span.broadcast_address)
    start = int(parse_address(last)) + 1 if last else low
    start = start if low <= start <= high else low
    for number in chain(range(start, high + 1), range(low, start)):
        text = str(type(span.network_address)(number))
        if number not in _edges(network) and text not in reserved and text not in used:
            return text
    raise Unavailable(f"no available IPv{network.version} addresses on this network's address pools: {network}")


def usage(subnet: Subnet, used: Iterable[str]) -> tuple[int, int]:
    """Return how many addresses of a subnet are taken, and how many of its range are left to be given out.

    Those that mean the network or all of its hosts count as taken. Numbers beyond 64 bits are cut down to them, as in
    the Engine API.
    """
    network = parse_subnet(subnet.subnet)
    span = _range(subnet, network)
    texts = (subnet.gateway, *subnet.reserved.values(), *used)
    taken = _edges(network) | {int(address) for text in texts if text and (address := parse_address(text)) in network}
    in_span = sum(int(span[0]) <= number <= int(span[-1]) for number in taken)
    return min(len(taken), _LARGEST), min(span.num_addresses - in_span, _LARGEST)


def _range(subnet: Subnet, network: IPNetwork) -> IPNetwork:
    if not subnet.ip_range:
        return network
    span = parse_subnet(subnet.ip_range)
    if not (span[0] in network and span[-1] in network):
        raise InvalidInput(f"IP range {span} is not in the subnet {network}")
    return span


def _edges(network: IPNetwork) -> frozenset[int]:
    """Return the addresses that mean the network itself or all of its hosts.

    A link of two ends has neither (RFC 3021, RFC 6164), and IPv6 has the first only (RFC 4291, 2.6.1).
    """
    if network.num_addresses <= 2 and network.version == 4:
        return frozenset()
    first, last = int(network.network_address), int(network.broadcast_address)
    return frozenset({first} if network.version == 6 else {first, last})


def mac_of(address: str) -> str:
    """Return a locally administered MAC address that follows from `address`.

    It is 02:42 and the four bytes of an IPv4 address, as Docker has it, or four bytes of a hash for IPv6.
    """
    packed = parse_address(address).packed
    last = packed if len(packed) == 4 else hashlib.sha256(packed).digest()[:4]
    return "02:42:" + ":".join(f"{byte:02x}" for byte in last)
