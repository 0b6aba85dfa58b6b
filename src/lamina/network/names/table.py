"""Which names mean which addresses, and to whom. A name counts in its network; only those who are in it may ask.

Rule: moby libnetwork (Sandbox.ResolveName, Network.ResolveName). For `a.b.c` these are tried in turn: `a.b.c` in the
asker's networks, `a.b` in the network `c`, `a` in the network `b.c`. The first network that knows the name answers. The
asker's links in a network come before the network's names.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

K = TypeVar("K")
_V4_SUFFIX, _V6_SUFFIX = ".in-addr.arpa", ".ip6.arpa"


@dataclass(frozen=True, slots=True)
class Place:
    """A sandbox's place in a network. The first of `names` is the name of its addresses in reverse lookups.

    `links` are names (in lower case) that only this sandbox uses, each with the name in the network that it stands for.
    """

    id: str
    sandbox: str
    network: str
    network_id: str
    ipv4: str = ""
    ipv6: str = ""
    names: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    internal: bool = False

    def meant_by(self, link: str) -> str:
        """Return what the sandbox's `link` stands for; "" where it has no such link."""
        return next((target.lower() for name, target in self.links if name.lower() == link), "")


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of a name, each family as bytes. A name that is known may have none of one family."""

    ipv4: tuple[bytes, ...]
    ipv6: tuple[bytes, ...]


class NameTable:
    """All places of one engine, by name and by address."""

    def __init__(self) -> None:
        self._places: dict[str, Place] = {}
        self._named: dict[tuple[str, str], dict[str, Place]] = {}  # by network and name
        self._at: dict[tuple[str, str], Place] = {}  # by network and address
        self._of_sandbox: dict[str, dict[str, Place]] = {}

    def put(self, place: Place) -> None:
        """Add a place, or bring one up to date."""
        self.drop(place.id)
        self._places[place.id] = place
        self._of_sandbox.setdefault(place.sandbox, {})[place.id] = place
        for name in place.names:
            self._named.setdefault((place.network_id, name.lower()), {})[place.id] = place
        if place.names:
            for address in filter(None, (place.ipv4, place.ipv6)):
                self._at[place.network_id, address] = place

    def drop(self, id: str) -> None:
        """Forget a place. An unknown one is ignored."""
        place = self._places.pop(id, None)
        if place is None:
            return
        _take_out(self._of_sandbox, place.sandbox, id)
        for name in place.names:
            _take_out(self._named, (place.network_id, name.lower()), id)
        for address in filter(None, (place.ipv4, place.ipv6)):
            if self._at.get((place.network_id, address)) is place:
                del self._at[place.network_id, address]

    def places(self) -> Sequence[Place]:
        """Return all places."""
        return list(self._places.values())

    def of_sandbox(self, sandbox: str) -> Sequence[Place]:
        """Return a sandbox's places, in the order in which their networks are asked."""
        places = self._of_sandbox.get(sandbox, {}).values()
        return sorted(places, key=lambda place: (place.internal, place.network)) if len(places) > 1 else list(places)

    def reaches_outside(self, sandbox: str) -> bool:
        """Return whether a sandbox is in a network that is not internal."""
        return any(not place.internal for place in self._of_sandbox.get(sandbox, {}).values())

    def addresses(self, sandbox: str, name: str) -> Addresses | None:
        """Return the addresses of `name`, in lower case, for an asker; None if no sandbox in its networks has it."""
        places = self.of_sandbox(sandbox)
        for host, network in _readings(name):
            fitting = [place for place in places if not network or place.network.lower() == network]
            for place in fitting:
                linked = place.meant_by(host)
                if linked and (addresses := self._in_network(place.network_id, linked)):
                    return addresses
            for place in fitting:
                if not place.meant_by(host) and (addresses := self._in_network(place.network_id, host)):
                    return addresses
        return None

    def _in_network(self, network_id: str, name: str) -> Addresses | None:
        places = self._named.get((network_id, name))
        if not places:
            return None
        ipv4 = {ipaddress.IPv4Address(place.ipv4).packed for place in places.values() if place.ipv4}
        ipv6 = {ipaddress.IPv6Address(place.ipv6).packed for place in places.values() if place.ipv6}
        return Addresses(tuple(ipv4), tuple(ipv6))

    def name_of(self, sandbox: str, reverse: str) -> str | None:
        """Return the name at an address, which is written as PTR questions are; None where the asker may know none."""
        address = address_of(reverse)
        for place in self.of_sandbox(sandbox):
            named = self._at.get((place.network_id, address))
            if named is not None:
                return f"{named.names[0]}.{named.network}"
        return None


def _readings(name: str) -> Iterator[tuple[str, str]]:
    """Yield the ways to read a name: what is a host's, and what its network's. A name has at most 127 dots."""
    yield name, ""
    end = name.rfind(".")
    while end > 0:
        yield name[:end], name[end + 1 :]
        end = name.rfind(".", 0, end)


def address_of(reverse: str) -> str:
    """Return the address in a name of in-addr.arpa or ip6.arpa; "" where there is none."""
    try:
        if reverse.endswith(_V4_SUFFIX):
            return str(ipaddress.IPv4Address(".".join(reversed(reverse.removesuffix(_V4_SUFFIX).split(".")))))
        digits = reverse.removesuffix(_V6_SUFFIX).split(".")
        if reverse.endswith(_V6_SUFFIX) and len(digits) == 32 and all(len(digit) == 1 for digit in digits):
            return str(ipaddress.IPv6Address(int("".join(reversed(digits)), 16)))
    except ValueError:
        pass
    return ""


def _take_out(index: dict[K, dict[str, Place]], key: K, id: str) -> None:
    places = index.get(key, {})
    places.pop(id, None)
    if not places:
        index.pop(key, None)
