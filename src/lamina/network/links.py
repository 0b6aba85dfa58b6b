"""Interfaces, addresses and routes of the host, as networks need them."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from lamina.errors import Internal, Unsupported
from lamina.linux.interfaces import Interfaces, NewLink, veth
from lamina.network.addresses import IPNetwork

T = TypeVar("T")
_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_MTU = 1500
_LINK_SCOPE = 253  # of addresses that mean the link alone
_BRIDGE_LINK_LOCAL = "fe80::1/64"  # as dockerd has it


class Links:
    """The interfaces of the network namespace this object was made in. Thread-safe. `close` may be called twice."""

    def __init__(self) -> None:
        self._interfaces = Interfaces()

    def close(self) -> None:
        self._interfaces.close()

    def _do(self, doing: str, work: Callable[[Interfaces], T], *tolerated: int) -> T | None:
        """Run `work` with the connection; None where the kernel answered with a tolerated error."""
        try:
            with told(doing):
                return work(self._interfaces)
        except Internal as error:
            if error.facts.get("errno") in tolerated:
                return None
            raise

    def index(self, name: str) -> int | None:
        """Return the kernel's number of an interface; None where there is none of that name."""
        try:
            return socket.if_nametoindex(name)
        except OSError:
            return None

    def ensure_bridge(self, name: str, addresses: Sequence[str], mac: str, mtu: int) -> None:
        """Make the bridge `name` where it is missing, give it `addresses` (CIDR form) alone, and set it up.

        IPv6 is on where there is such an address. Without `mac` the kernel chooses one. The rules that isolate the
        bridge must be there already.
        """

        def make(interfaces: Interfaces) -> None:
            if self.index(name) is None:
                interfaces.add(NewLink(name, "bridge", mac=mac, mtu=mtu))
                distrust(name)
            index = socket.if_nametoindex(name)
            ipv6 = [address for address in addresses if ":" in address]
            if ipv6:
                _set(f"ipv6/conf/{name}/disable_ipv6", "0")
            ipv4 = [address for address in addresses if ":" not in address]
            _give_addresses(interfaces, index, socket.AF_INET, ipv4)
            _give_addresses(interfaces, index, socket.AF_INET6, [*ipv6, _BRIDGE_LINK_LOCAL] if ipv6 else [])
            interfaces.set_up(index)

        self._do(f"making bridge {name}", make)

    def add_veth(self, name: str, bridge: str, namespace: Path, peer: str, mac: str, mtu: int, isolated: bool) -> None:
        """Make a veth pair: `name` is a port of `bridge`, the other end is `peer` in `namespace` with `mac`."""
        master = self.index(bridge)
        if master is None:
            raise Internal(f"the bridge {bridge} is gone", advice="Restart the daemon to have it made again")
        descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
        other = veth(NewLink(peer, mac=mac, mtu=mtu, namespace=descriptor))

        def make(interfaces: Interfaces) -> None:
            interfaces.add(NewLink(name, "veth", mtu=mtu, master=master, details=other))
            distrust(name)
            index = socket.if_nametoindex(name)
            interfaces.set_up(index)
            # A container may reach its own published port: back out by the port it came in, where the bridge
            # hands packets to the firewall (br_netfilter).
            interfaces.set_port(index, hairpin=True, isolated=isolated)

        try:
            self._do(f"making {name}", make)
        finally:
            os.close(descriptor)

    def add_child(
        self,
        kind: str,
        parent: str,
        name: str,
        details: bytes,
        namespace: Path | None = None,
        *,
        mac: str = "",
        mtu: int = 0,
    ) -> None:
        """Make an interface of a `kind` that uses `parent`: in `namespace`, or here, and then up.

        `details` are of the kind, see `linux.interfaces`. Raise Unsupported where the kernel does not know the kind,
        Internal where the parent is gone.
        """
        index = self.index(parent)
        if index is None:
            raise Internal(f"the parent interface {parent} is gone")
        descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC) if namespace else -1
        link = NewLink(name, kind, mac=mac, mtu=mtu, parent=index, namespace=descriptor, details=details)

        def make(interfaces: Interfaces) -> None:
            interfaces.add(link)
            if not namespace:
                interfaces.set_up(socket.if_nametoindex(name))

        try:
            self._add(kind, f"making {name} on {parent}", make)
        finally:
            if namespace:
                os.close(descriptor)

    def add_lone(self, name: str) -> None:
        """Make an interface that leads nowhere, and set it up. Raise Unsupported where the kernel has none."""

        def make(kind: str) -> Callable[[Interfaces], None]:
            def add(interfaces: Interfaces) -> None:
                interfaces.add(NewLink(name, kind))
                distrust(name)
                interfaces.set_up(socket.if_nametoindex(name))

            return add

        try:
            self._add("dummy", f"making {name}", make("dummy"))
        except Unsupported:
            self._add("bridge", f"making {name}", make("bridge"))  # without ports it leads nowhere either

    def _add(self, kind: str, doing: str, work: Callable[[Interfaces], None]) -> None:
        try:
            self._do(doing, work)
        except Internal as error:
            if error.facts.get("errno") != errno.EOPNOTSUPP:
                raise
            advice = f"Load the kernel's module {kind}, or use a kernel that has it"
            raise Unsupported(f"{doing}: this kernel has no interfaces of the kind {kind}", advice=advice) from error

    def remove(self, name: str) -> None:
        """Delete an interface (a veth with its peer); a missing one is fine. Take the kernel about 15 ms."""
        index = self.index(name)
        if index is not None:
            self._do(f"removing {name}", lambda interfaces: interfaces.remove(index), errno.ENODEV)

    def ports_of(self, bridge: str) -> list[str]:
        """Return names of the interfaces that are ports of `bridge`."""
        index = self.index(bridge)
        if index is None:
            return []
        ports = self._do(f"listing {bridge}", lambda interfaces: interfaces.ports(index))
        return [port.name for port in ports or ()]

    def addresses_of(self, name: str) -> list[str]:
        """Return the addresses of an interface in CIDR form, IPv4 first."""
        index = self.index(name)
        if index is None:
            return []

        def read(interfaces: Interfaces) -> list[str]:
            return [address for family in _FAMILIES for address in interfaces.addresses(index, family)]

        return self._do(f"listing addresses of {name}", read) or []

    def routed_networks(self, except_for: frozenset[str]) -> list[IPNetwork]:
        """Return the destinations of the routes, except the default ones and those over the named interfaces."""
        skipped = {self.index(name) for name in except_for}

        def read(interfaces: Interfaces) -> list[IPNetwork]:
            routes = [route for family in _FAMILIES for route in interfaces.routes(family) if route.destination]
            return [ipaddress.ip_network(route.destination) for route in routes if route.interface not in skipped]

        return self._do("listing routes", read) or []

    def default_mtu(self) -> int:
        """Return the MTU of the interface the default route goes over, at most 1500."""

        def read(interfaces: Interfaces) -> int:
            for route in interfaces.routes(socket.AF_INET):
                if not route.destination and route.interface:
                    return min(_MTU, interfaces.link(route.interface).mtu)
            return _MTU

        return self._do("reading the default route", read) or _MTU


def _give_addresses(interfaces: Interfaces, index: int, family: int, addresses: Sequence[str]) -> None:
    """Make `addresses` (CIDR form) the interface's only ones of a family, but for the kernel's link-local one.

    Those that are there stay: without them, packets for the network would leave by the default route.
    """
    missing = set(addresses)
    for address in interfaces.addresses(index, family):
        if address in missing:
            missing.remove(address)
        elif family == socket.AF_INET or not ipaddress.ip_interface(address).is_link_local:
            interfaces.remove_address(index, address)
    for address in addresses:
        if address in missing:
            add_address(interfaces, index, address)


def add_address(interfaces: Interfaces, index: int, address: str) -> None:
    """Give an interface an address (CIDR form), which may be used at once.

    The engine gives each IPv6 address once, so nobody needs to look for a duplicate first (RFC 4862, 5.4).
    """
    interface = ipaddress.ip_interface(address)
    if interface.version == 6:
        interfaces.add_address(index, address)
    elif interface.is_link_local:
        interfaces.add_address(index, address, scope=_LINK_SCOPE)
    else:
        interfaces.add_address(index, address, broadcast=str(interface.network.broadcast_address))


def distrust(interface: str) -> None:
    """Keep containers behind a new interface, which is not up yet, from configuring the host through it.

    The kernel's defaults would take addresses and routes from router advertisements (CVE-2020-13401) and redirects.
    """
    _set(f"ipv6/conf/{interface}/accept_ra", "0")
    _set(f"ipv6/conf/{interface}/disable_ipv6", "1")
    _set(f"ipv4/conf/{interface}/accept_redirects", "0")
    _set(f"ipv6/conf/{interface}/accept_redirects", "0")


def _set(setting: str, value: str) -> None:
    with suppress(FileNotFoundError):  # a kernel without IPv6
        Path("/proc/sys/net", setting).write_text(value)


@contextmanager
def told(doing: str) -> Iterator[None]:
    """Turn the kernel's refusal into an Internal error that says what was being done; `facts["errno"]` says why."""
    try:
        yield
    except OSError as error:
        raise Internal(f"{doing}: {error.strerror}", errno=error.errno) from error
