"""Interfaces, addresses and routes by netlink (pyroute2). Imported late: pyroute2 takes 0.3 s to load."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from lamina.errors import Internal, Unsupported
from lamina.network.addresses import IPNetwork

T = TypeVar("T")
_ENODEV = 19
_MAIN = 254  # the main routing table
_MTU = 1500
_IFA_F_NODAD = 0x02
LINK_SCOPE = 253  # of routes and addresses that mean the link alone
_BRIDGE_LINK_LOCAL = "fe80::1/64"  # as dockerd has it


class Links:
    """The interfaces of the network namespace this object was made in. Thread-safe. `close` may be called twice.

    One thread of its own does the talking: pyroute2 keeps a socket and an event loop for each thread that uses it.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lamina-netlink")
        self._route: Any = self._thread.submit(IPRoute).result()
        self._closed = False

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._thread.submit(self._route.close).result()
            self._thread.shutdown()

    def _do(self, doing: str, work: Callable[[Any], T], *tolerated: int) -> T | None:
        """Run `work` with the connection; None where the kernel answered with a tolerated error."""

        def call() -> T | None:
            try:
                with told(doing):
                    return work(self._route)
            except Internal as error:
                if error.facts.get("errno") in tolerated:
                    return None
                raise

        return self._thread.submit(call).result()

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

        def make(route: Any) -> None:
            if self.index(name) is None:
                more = {"address": mac} if mac else {}
                route.link("add", ifname=name, kind="bridge", mtu=mtu, **more)
                distrust(name)
            index = socket.if_nametoindex(name)
            ipv6 = [address for address in addresses if ":" in address]
            if ipv6:
                _set(f"ipv6/conf/{name}/disable_ipv6", "0")
            _give_addresses(route, index, socket.AF_INET, [address for address in addresses if ":" not in address])
            _give_addresses(route, index, socket.AF_INET6, [*ipv6, _BRIDGE_LINK_LOCAL] if ipv6 else [])
            route.link("set", index=index, state="up")

        self._do(f"making bridge {name}", make)

    def add_veth(self, name: str, bridge: str, namespace: Path, peer: str, mac: str, mtu: int, isolated: bool) -> None:
        """Make a veth pair: `name` is a port of `bridge`, the other end is `peer` in `namespace` with `mac`."""
        master = self.index(bridge)
        if master is None:
            raise Internal(f"the bridge {bridge} is gone", advice="Restart the daemon to have it made again")
        descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
        other = {"ifname": peer, "net_ns_fd": descriptor, "address": mac, "mtu": mtu}

        def make(route: Any) -> None:
            route.link("add", ifname=name, kind="veth", master=master, mtu=mtu, peer=other)
            distrust(name)
            index = socket.if_nametoindex(name)
            route.link("set", index=index, state="up")
            # A container may reach its own published port: back out by the port it came in, where the bridge
            # hands packets to the firewall (br_netfilter).
            route.brport("set", index=index, mode=1, isolated=int(isolated))

        try:
            self._do(f"making {name}", make)
        finally:
            os.close(descriptor)

    def add_child(
        self, kind: str, parent: str, name: str, namespace: Path | None = None, **attributes: str | int
    ) -> None:
        """Make an interface of a `kind` that uses `parent`: in `namespace`, or here, and then up.

        Raise Unsupported where the kernel does not know the kind, Internal where the parent is gone.
        """
        index = self.index(parent)
        if index is None:
            raise Internal(f"the parent interface {parent} is gone")
        descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC) if namespace else -1
        place = {"net_ns_fd": descriptor} if namespace else {}

        def make(route: Any) -> None:
            route.link("add", ifname=name, kind=kind, link=index, **place, **attributes)
            if not namespace:
                route.link("set", index=socket.if_nametoindex(name), state="up")

        try:
            self._add(kind, f"making {name} on {parent}", make)
        finally:
            if namespace:
                os.close(descriptor)

    def add_lone(self, name: str) -> None:
        """Make an interface that leads nowhere, and set it up. Raise Unsupported where the kernel has none."""

        def make(kind: str) -> Callable[[Any], None]:
            def add(route: Any) -> None:
                route.link("add", ifname=name, kind=kind)
                distrust(name)
                route.link("set", index=socket.if_nametoindex(name), state="up")

            return add

        try:
            self._add("dummy", f"making {name}", make("dummy"))
        except Unsupported:
            self._add("bridge", f"making {name}", make("bridge"))  # without ports it leads nowhere either

    def _add(self, kind: str, doing: str, work: Callable[[Any], None]) -> None:
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
            self._do(f"removing {name}", lambda route: route.link("del", index=index), _ENODEV)

    def ports_of(self, bridge: str) -> list[str]:
        """Return names of the interfaces that are ports of `bridge`."""
        index = self.index(bridge)
        if index is None:
            return []
        links = self._do(f"listing {bridge}", lambda route: list(route.get_links(master=index)))
        return [str(link.get_attr("IFLA_IFNAME")) for link in links or ()]

    def addresses_of(self, name: str) -> list[str]:
        """Return the addresses of an interface in CIDR form, IPv4 first."""
        index = self.index(name)

        def read(route: Any) -> list[str]:
            messages = [*route.get_addr(index=index, family=2), *route.get_addr(index=index, family=10)]
            return [f"{_ip_of(message)}/{message['prefixlen']}" for message in messages]

        return self._do(f"listing addresses of {name}", read) or []

    def routed_networks(self, except_for: frozenset[str]) -> list[IPNetwork]:
        """Return the destinations of the routes, except the default ones and those over the named interfaces."""
        skipped = {self.index(name) for name in except_for}
        routes = self._do("listing routes", lambda route: [*route.get_routes(family=2), *route.get_routes(family=10)])
        return [
            ipaddress.ip_network((route.get_attr("RTA_DST"), route["dst_len"]), strict=False)
            for route in routes or ()
            if route["dst_len"] and route["table"] == _MAIN and route.get_attr("RTA_OIF") not in skipped
        ]

    def default_mtu(self) -> int:
        """Return the MTU of the interface the default route goes over, at most 1500."""

        def read(route: Any) -> int:
            for default in route.get_default_routes(family=2):
                for link in route.get_links(default.get_attr("RTA_OIF")):
                    return min(_MTU, int(link.get_attr("IFLA_MTU")))
            return _MTU

        return self._do("reading the default route", read) or _MTU


def _give_addresses(route: Any, index: int, family: int, addresses: Sequence[str]) -> None:
    """Make `addresses` (CIDR form) the interface's only ones of a family, but for the kernel's link-local one.

    Those that are there stay: without them, packets for the network would leave by the default route.
    """
    missing = set(addresses)
    for message in route.get_addr(index=index, family=family):
        ip = _ip_of(message)
        address = f"{ip}/{message['prefixlen']}"
        if address in missing:
            missing.remove(address)
        elif family == socket.AF_INET or not ipaddress.ip_address(ip).is_link_local:
            route.addr("del", index=index, family=family, address=ip, prefixlen=message["prefixlen"])
    for address in addresses:
        if address in missing:
            add_address(route, index, address)


def _ip_of(message: Any) -> str:
    return str(message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS"))


def add_address(route: Any, index: int, address: str) -> None:
    """Give an interface an address (CIDR form), which may be used at once.

    The engine gives each IPv6 address once, so nobody needs to look for a duplicate first (RFC 4862, 5.4).
    """
    ip, _, prefix = address.partition("/")
    more: dict[str, Any] = {}
    if ":" in ip:
        more["flags"] = _IFA_F_NODAD
    elif ipaddress.ip_address(ip).is_link_local:
        more["scope"] = LINK_SCOPE
    else:
        more["broadcast"] = str(ipaddress.IPv4Interface(address).network.broadcast_address)
    route.addr("add", index=index, address=ip, prefixlen=int(prefix), **more)


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
    except NetlinkError as error:
        raise Internal(f"{doing}: {os.strerror(abs(error.code))}", errno=error.code) from error
    except OSError as error:
        raise Internal(f"{doing}: {error.strerror}", errno=error.errno) from error
