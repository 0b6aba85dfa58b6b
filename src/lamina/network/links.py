"""Interfaces, addresses and routes by netlink (pyroute2). Imported late: pyroute2 takes 0.3 s to load."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from lamina.errors import Internal
from lamina.network.namespaces import inside

T = TypeVar("T")
_ENODEV = 19
_MAIN = 254  # the main routing table
_MTU = 1500


@dataclass(frozen=True, slots=True)
class Peer:
    """The end of a veth pair inside a sandbox. `prefix` in bits; without a gateway there is no default route."""

    interface: str
    mac: str
    ip: str
    prefix: int
    gateway: str = ""


class Links:
    """The interfaces of the network namespace this object was made in. Thread-safe. `close` twice is fine.

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
                with _told(doing):
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

    def ensure_bridge(self, name: str, gateway: str, prefix: int, mac: str, mtu: int) -> None:
        """Make the bridge `name` where it is missing, give it the one IPv4 address, and set it up.

        The rules that isolate it must be there already.
        """

        def make(route: Any) -> None:
            if self.index(name) is None:
                route.link("add", ifname=name, kind="bridge", address=mac, mtu=mtu)
                _distrust(name)
            index = socket.if_nametoindex(name)
            _give_address(route, index, f"{gateway}/{prefix}")
            route.link("set", index=index, state="up")

        self._do(f"making bridge {name}", make)

    def add_veth(self, name: str, bridge: str, namespace: Path, peer: Peer, mtu: int, isolated: bool) -> None:
        """Make a veth pair: `name` is a port of `bridge`, the other end is inside `namespace` as `peer` says."""
        master = self.index(bridge)
        if master is None:
            raise Internal(f"the bridge {bridge} is gone", advice="Restart the daemon to have it made again")
        descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
        other = {"ifname": peer.interface, "net_ns_fd": descriptor, "address": peer.mac, "mtu": mtu}

        def make(route: Any) -> None:
            route.link("add", ifname=name, kind="veth", master=master, mtu=mtu, peer=other)
            _distrust(name)
            index = socket.if_nametoindex(name)
            route.link("set", index=index, state="up")
            # A container may reach its own published port: back out by the port it came in, where the bridge
            # hands packets to the firewall (br_netfilter).
            route.brport("set", index=index, mode=1, isolated=int(isolated))

        try:
            self._do(f"making {name}", make)
        finally:
            os.close(descriptor)
        _set_up(namespace, peer)

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

    def routed_networks(self, except_for: frozenset[str]) -> list[ipaddress.IPv4Network]:
        """Return the destinations of the IPv4 routes, except the default ones and those over the named interfaces."""
        skipped = {self.index(name) for name in except_for}
        routes = self._do("listing routes", lambda route: list(route.get_routes(family=2)))
        return [
            ipaddress.IPv4Network((route.get_attr("RTA_DST"), route["dst_len"]), strict=False)
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


def _give_address(route: Any, index: int, address: str) -> None:
    """Make `address` (CIDR form) the interface's only one. One that is there stays: without it, packets for the network
    would leave by the default route."""
    present = False
    for message in route.get_addr(index=index, family=2):
        other = f"{message.get_attr('IFA_LOCAL')}/{message['prefixlen']}"
        if other == address:
            present = True
        else:
            route.addr("del", index=index, address=message.get_attr("IFA_LOCAL"), prefixlen=message["prefixlen"])
    if not present:
        ip, _, prefix = address.partition("/")
        route.addr("add", index=index, address=ip, prefixlen=int(prefix), broadcast=_broadcast(ip, int(prefix)))


def _distrust(interface: str) -> None:
    """Keep containers behind a new interface, which is not up yet, from configuring the host through it.

    The kernel's defaults would take addresses and routes from router advertisements (CVE-2020-13401) and redirects.
    """
    for setting, value in (
        ("ipv6/{}/accept_ra", "0"),
        ("ipv6/{}/disable_ipv6", "1"),
        ("ipv4/{}/accept_redirects", "0"),
    ):
        with suppress(FileNotFoundError):  # a kernel without IPv6
            Path("/proc/sys/net", setting.format(f"conf/{interface}")).write_text(value)


def _set_up(namespace: Path, peer: Peer) -> None:
    with inside(namespace), _told(f"looking for {peer.interface}"):
        route: Any = IPRoute()
        index = socket.if_nametoindex(peer.interface)
    try:
        with _told(f"setting up {peer.interface}"):
            broadcast = _broadcast(peer.ip, peer.prefix)
            route.addr("add", index=index, address=peer.ip, prefixlen=peer.prefix, broadcast=broadcast)
            route.link("set", index=index, state="up")
            if peer.gateway:
                route.route("replace", dst="default", gateway=peer.gateway, oif=index)
    finally:
        route.close()


def set_default_route(namespace: Path, gateway: str) -> None:
    """Make `gateway` the way out of `namespace`; with "" there is none."""
    with inside(namespace):
        route: Any = IPRoute()
    try:
        with _told("setting the default route"):
            if gateway:
                route.route("replace", dst="default", gateway=gateway)
            else:
                for old in route.get_default_routes(family=2):
                    route.route("del", dst="default", oif=old.get_attr("RTA_OIF"))
    finally:
        route.close()


def _broadcast(ip: str, prefix: int) -> str:
    return str(ipaddress.IPv4Interface((ip, prefix)).network.broadcast_address)


@contextmanager
def _told(doing: str) -> Iterator[None]:
    """Turn the kernel's refusal into an Internal error that says what was being done; `facts["errno"]` says why."""
    try:
        yield
    except NetlinkError as error:
        raise Internal(f"{doing}: {os.strerror(abs(error.code))}", errno=error.code) from error
    except OSError as error:
        raise Internal(f"{doing}: {error.strerror}", errno=error.errno) from error
