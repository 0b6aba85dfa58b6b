"""Host ports: reserved by listening sockets, so that two containers, or a container and a program, never share one.

The kernel's address translation takes connections before these sockets see them; the sockets hold the port, find a
free one where none was named, and carry IPv6 through the proxy.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from lamina.errors import Conflict, InvalidInput
from lamina.network.model import PortBinding, PortTargets
from lamina.network.proxy.proxy import Proxy

_TYPES = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM, "sctp": socket.SOCK_STREAM}
_TRIES = 16
_SO_ATTACH_FILTER = 26
_BPF_RET = 0x06
_Key = tuple[str, str, int]


class Ports:
    """The reservations of one daemon. Thread-safe.

    With `proxied` false nothing is carried by the proxy: neither the loopback of IPv6, nor what reaches an IPv6 address
    of the host for a container that has IPv4 only.
    """

    def __init__(self, proxy: Proxy, *, proxied: bool = True) -> None:
        self._proxy = proxy
        self._proxied = proxied
        self._lock = threading.Lock()
        self._held: dict[_Key, socket.socket] = {}

    def reserve(self, bindings: Sequence[PortBinding], targets: PortTargets) -> tuple[PortBinding, ...]:
        """Reserve all of `bindings`, or none. Return what was published.

        A binding without host address becomes one for each family. Bindings that differ in their host address alone get
        the same host port, as with dockerd. Raise Conflict naming the port that is taken,
        InvalidInput for an address that is not the host's.
        """
        published: list[PortBinding] = []
        try:
            for group in _grouped(bindings):
                ways = [way for binding in group for way in self._ways(binding, targets)]
                published.extend(self._reserve(group[0], list(dict.fromkeys(ways))))
                published.extend(dict.fromkeys(way for binding in group for way in self._routed(binding, targets)))
        except BaseException:
            self.release(published)
            raise
        return tuple(published)

    def release(self, bindings: Sequence[PortBinding]) -> None:
        """Release ports. Ignore those that are not held."""
        for binding in bindings:
            with self._lock:
                held = self._held.pop(_key(binding), None)
            if held is not None:
                self._proxy.stop(held)

    def close(self) -> None:
        """Release all ports and end the proxy. The kernel's translation goes on. A second call does nothing."""
        with self._lock:
            held, self._held = list(self._held.values()), {}
        for bound in held:
            self._proxy.stop(bound)
        self._proxy.close()

    def _ways(self, binding: PortBinding, targets: PortTargets) -> list[tuple[str, str]]:
        """Return the host addresses to publish at, each with the container's address it leads to."""
        ipv6 = targets.ipv6
        if ":" not in ipv6 and not (self._proxied and binding.proto != "sctp"):
            ipv6 = ""  # only the proxy leads from IPv6 to IPv4
        ways = [(address, ipv6 if ":" in address else targets.ipv4) for address in _addresses(binding, targets)]
        return [(address, target) for address, target in ways if target and _version(address) not in targets.routed]

    def _routed(self, binding: PortBinding, targets: PortTargets) -> list[PortBinding]:
        """Return the binding for the families that need no port of the host: there the container's own is open."""
        versions = {_version(address) for address in _addresses(binding, targets)}
        ways = [(4, "0.0.0.0", targets.ipv4), (6, "::", targets.ipv6)]
        return [
            msgspec.structs.replace(binding, host_ip=every, host_port=0, host_port_end=0, container_ip=target)
            for version, every, target in ways
            if version in targets.routed and version in versions and target
        ]

    def _reserve(self, binding: PortBinding, ways: Sequence[tuple[str, str]]) -> list[PortBinding]:
        if not ways:
            return []
        last: Conflict | None = None
        for port in _choices(binding):
            try:
                return self._reserve_all(binding, port, ways)
            except Conflict as error:
                last = error
        raise last or InvalidInput(f"the port range of {binding.container_port}/{binding.proto} is empty")

    def _reserve_all(self, binding: PortBinding, port: int, ways: Sequence[tuple[str, str]]) -> list[PortBinding]:
        """Return the binding at one port (0: any) on each of its addresses; the same port number on all of them."""
        published: list[PortBinding] = []
        try:
            for address, target in ways:
                chosen = published[0].host_port if published else port
                published.append(self._reserve_one(binding, address, chosen, target))
        except BaseException:
            self.release(published)
            raise
        return published

    def _reserve_one(self, binding: PortBinding, address: str, port: int, target: str) -> PortBinding:
        bound = self._bind(binding.proto, address, port)
        chosen = int(bound.getsockname()[1])
        done = msgspec.structs.replace(binding, host_ip=address, host_port=chosen, host_port_end=0, container_ip=target)
        with self._lock:
            self._held[_key(done)] = bound
        if ":" in address and binding.proto != "sctp" and self._proxied:
            self._proxy.serve(bound, (target, binding.container_port))
        else:
            _turn_deaf(bound)
        return done

    def _bind(self, proto: str, address: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        bound = socket.socket(family, _TYPES[proto])
        try:
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if proto != "udp":  # connections that linger from before do not stand in the way; listeners still do
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((address, port))
            if proto != "udp":
                bound.listen(1024)
        except OSError as error:
            bound.close()
            raise self._refusal(error, proto, address, port) from error
        return bound

    def _refusal(self, error: OSError, proto: str, address: str, port: int) -> Exception:
        place = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        if error.errno != errno.EADDRINUSE:
            return InvalidInput(f"cannot bind {place}/{proto} on the host: {error.strerror}", port=port)
        with self._lock:
            ours = any(held[0] == proto and held[2] == port for held in self._held)
        reason = "port is already allocated" if ours else "address already in use"
        return Conflict(f"Bind for {place} failed: {reason}", port=port, proto=proto)


def _grouped(bindings: Sequence[PortBinding]) -> list[list[PortBinding]]:
    """Return the bindings that differ in their host address alone together, in their order."""
    groups: dict[PortBinding, list[PortBinding]] = {}
    for binding in bindings:
        groups.setdefault(msgspec.structs.replace(binding, host_ip="", container_ip=""), []).append(binding)
    return list(groups.values())


def _turn_deaf(bound: socket.socket) -> None:
    """Let nothing reach a socket that only holds its port: a connection that nobody serves must not seem to work."""
    drop = ctypes.create_string_buffer(struct.pack("HBBI", _BPF_RET, 0, 0, 0))  # struct sock_filter: keep 0 bytes
    bound.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", 1, ctypes.addressof(drop)))


def _choices(binding: PortBinding) -> Sequence[int]:
    if binding.host_port and binding.host_port_end > binding.host_port:
        return range(binding.host_port, binding.host_port_end + 1)
    # A free port of one family may be taken in the other: try a few.
    return [binding.host_port] if binding.host_port else [0] * _TRIES


def _addresses(binding: PortBinding, targets: PortTargets) -> list[str]:
    if binding.proto not in _TYPES:
        raise InvalidInput(f"invalid protocol {binding.proto!r} for port {binding.container_port}")
    address = (binding.host_ip or targets.host_ip).strip("[]")
    if (address and address != "0.0.0.0") or binding.host_ip:
        return [address]
    return ["0.0.0.0", "::"] if _has_ipv6() else ["0.0.0.0"]


def _version(address: str) -> int:
    return 6 if ":" in address else 4


def _has_ipv6() -> bool:
    with suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:  # no IPv6 here
        probe.bind(("::", 0))
        return True
    return False


def _key(binding: PortBinding) -> _Key:
    return (binding.proto, binding.host_ip, binding.host_port)
