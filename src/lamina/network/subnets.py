"""Choosing the subnets of networks: from the pools, or checked as they were asked for. Pure functions on text."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from lamina.api.networks import Subnet
from lamina.errors import Forbidden, InvalidInput
from lamina.network.addresses import IPNetwork, first_address, parse_address, parse_subnet

# What Docker takes networks from when daemon.json has no default-address-pools.
DEFAULT_POOLS: tuple[tuple[str, int], ...] = (
    *((f"172.{second}.0.0/16", 16) for second in range(17, 32)),
    ("192.168.0.0/16", 20),
)
_LINK_LOCAL = ipaddress.IPv6Network("fe80::/64")
_LONGEST = {4: 31, 6: 126}  # prefix lengths: a subnet of a pool has a gateway and at least one more address

Pools = Sequence[tuple[str, int]]  # base in CIDR form, and the prefix length of the subnets it is cut into


def local_pool(identity: str) -> tuple[str, int]:
    """Return the pool of IPv6 subnets that belongs to the engine called `identity`: unique local addresses.

    Its 40 bits come from a hash instead of chance (RFC 4193, 3.2.2), so that an engine keeps its addresses.
    """
    random_bits = hashlib.sha256(identity.encode()).digest()[-5:]
    return f"{ipaddress.IPv6Address(bytes([0xFD]) + random_bits + bytes(10))}/48", 64


def whole_pools(pools: Pools, identity: str) -> Pools:
    """Return `pools`, and what stands in for them where they have none of a family."""
    families = {parse_subnet(base).version for base, _ in pools}
    further = (*(DEFAULT_POOLS if 4 not in families else ()), *((local_pool(identity),) if 6 not in families else ()))
    return (*pools, *further)


def free_subnet(pools: Pools, taken: Iterable[IPNetwork], version: int = 4, prefix: int = 0) -> IPNetwork:
    """Return the first subnet of `pools` of the IP version that overlaps nothing in `taken`.

    A `prefix` other than 0 stands for the prefix length of the pools. Raise InvalidInput where nothing is left.
    """
    avoid = [network for network in taken if network.version == version]
    for candidate in _candidates(pools, version, prefix):
        if not any(overlap(candidate, other) for other in avoid):
            return candidate
    raise InvalidInput(
        "all predefined address pools have been fully subnetted",
        advice="Name a subnet, or widen default-address-pools in daemon.json",
    )


def _candidates(pools: Pools, version: int, prefix_asked: int) -> Iterator[IPNetwork]:
    for base, pool_prefix in pools:
        network, prefix = parse_subnet(base), prefix_asked or pool_prefix
        if network.version != version or network.prefixlen > prefix:
            continue
        if prefix > _LONGEST[version]:
            raise InvalidInput(f"address pool {base} cannot be cut into /{prefix} networks")
        yield from network.subnets(new_prefix=prefix)


def overlap(one: IPNetwork, other: IPNetwork) -> bool:
    """Return whether the two share an address."""
    return one.version == other.version and (one[0] in other or other[0] in one)


def complete(subnet: Subnet, taken: Iterable[IPNetwork], *, gateway: bool = True) -> Subnet:
    """Return `subnet` with a gateway: by default the first free address of its range, none without `gateway`.

    Raise Forbidden where it overlaps a network in `taken`, InvalidInput for a range or gateway outside it.
    """
    network = parse_subnet(subnet.subnet)
    if any(overlap(network, other) for other in taken):
        raise Forbidden("invalid pool request: Pool overlaps with other one on this address space", subnet=str(network))
    chosen = subnet.gateway or (first_address(subnet) if gateway else "")
    if chosen and parse_address(chosen) not in network:
        raise InvalidInput(f"gateway {chosen} is not in the subnet {network}")
    return msgspec.structs.replace(subnet, subnet=str(network), gateway=chosen and str(parse_address(chosen)))


def check_subnets(subnets: Iterable[Subnet], *, ipv6: bool) -> None:
    """Raise InvalidInput, in dockerd's words, for a request whose ranges and addresses do not fit together.

    Without `ipv6` what is said about IPv6 is ignored, as dockerd does.
    """
    reasons: list[str] = []
    for subnet in subnets:
        if subnet.subnet and (ipv6 or ":" not in subnet.subnet):
            reasons.extend(_faults(subnet))
    if reasons:
        listed = reasons[0] if len(reasons) == 1 else "* " + "\n* ".join(reasons)
        raise InvalidInput(f"invalid network config:\n{listed}")


def _faults(subnet: Subnet) -> Iterator[str]:
    network = parse_subnet(subnet.subnet)
    if ipaddress.ip_interface(subnet.subnet).ip != network.network_address:
        yield f"invalid subnet {subnet.subnet}: it should be {network}"
    if network.is_multicast:
        yield f"multicast subnet '{network}' is not allowed"
    if isinstance(network, ipaddress.IPv6Network) and overlap(network, _LINK_LOCAL):
        yield f"'{network}' clashes with the Link-Local prefix '{_LINK_LOCAL}'"
    if subnet.ip_range:
        yield from _range_faults(subnet.ip_range, network)
    addresses = {f"gateway {subnet.gateway}": subnet.gateway}
    addresses |= {f"auxiliary address {name}": address for name, address in subnet.reserved.items()}
    for name, text in addresses.items():
        reason = _address_fault(text, network) if text else ""
        if reason:
            yield f"invalid {name}: {reason}"


def _range_faults(text: str, network: IPNetwork) -> Iterator[str]:
    span = parse_subnet(text)
    if span.version != network.version:
        yield f"invalid ip-range {text}: parent subnet is an IPv{network.version} block"
        return
    if span.prefixlen < network.prefixlen:
        yield f"invalid ip-range {text}: CIDR block is bigger than its parent subnet {network}"
    if ipaddress.ip_interface(text).ip != span.network_address:
        yield f"invalid ip-range {text}: it should be {span}"
    if not overlap(span, network):
        yield f"invalid ip-range {text}: parent subnet {network} doesn't contain ip-range"


def _address_fault(text: str, network: IPNetwork) -> str:
    address = parse_address(text)
    if address.version != network.version:
        return f"parent subnet is an IPv{network.version} block"
    return "" if address in network else f"parent subnet {network} doesn't contain this address"
