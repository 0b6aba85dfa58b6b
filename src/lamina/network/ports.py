"""Host ports: reserved by listening sockets, so that two containers, or a container and a program, never share one.

The kernel's address translation takes connections before these sockets see them; the sockets hold the port, find a
free one where none was named, and carry IPv6 through the proxy.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from lamina.errors import Conflict, InvalidInput
from lamina.network.model import PortBinding
from lamina.network.proxy.proxy import Proxy

_TYPES = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM, "sctp": socket.SOCK_STREAM}
_TRIES = 16
_Key = tuple[str, str, int]


class Ports:
    """The reservations of one daemon. Thread-safe."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._lock = threading.Lock()
        self._held: dict[_Key, socket.socket] = {}

    def reserve(self, bindings: Sequence[PortBinding], ip: str) -> tuple[PortBinding, ...]:
        """Reserve all of `bindings` for the container at `ip`, or none. Return what was published, ports filled in.

        A binding without host address becomes two, for 0.0.0.0 and ::, where the host has IPv6. Raise Conflict naming
        the port that is taken, InvalidInput for an address that is not the host's.
        """
        published: list[PortBinding] = []
        try:
            for binding in bindings:
                published.extend(self._reserve(binding, ip))
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

    def _reserve(self, binding: PortBinding, ip: str) -> list[PortBinding]:
        last: Conflict | None = None
        for port in _choices(binding):
            try:
                return self._reserve_all(binding, port, ip)
            except Conflict as error:
                last = error
        raise last or InvalidInput(f"the port range of {binding.container_port}/{binding.proto} is empty")

    def _reserve_all(self, binding: PortBinding, port: int, ip: str) -> list[PortBinding]:
        """Return the binding at one port (0: any) on each of its addresses; the same port number on all of them."""
        published: list[PortBinding] = []
        try:
            for address in _addresses(binding):
                chosen = published[0].host_port if published else port
                published.append(self._reserve_one(binding, address, chosen, ip))
        except BaseException:
            self.release(published)
            raise
        return published

    def _reserve_one(self, binding: PortBinding, address: str, port: int, ip: str) -> PortBinding:
        bound = self._bind(binding.proto, address, port)
        done = msgspec.structs.replace(binding, host_ip=address, host_port=int(bound.getsockname()[1]), host_port_end=0)
        with self._lock:
            self._held[_key(done)] = bound
        if ":" in address and binding.proto != "sctp":
            self._proxy.serve(bound, (ip, binding.container_port))
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


def _choices(binding: PortBinding) -> Sequence[int]:
    if binding.host_port and binding.host_port_end > binding.host_port:
        return range(binding.host_port, binding.host_port_end + 1)
    # A free port of one family may be taken in the other: try a few.
    return [binding.host_port] if binding.host_port else [0] * _TRIES


def _addresses(binding: PortBinding) -> list[str]:
    if binding.proto not in _TYPES:
        raise InvalidInput(f"invalid protocol {binding.proto!r} for port {binding.container_port}")
    if binding.host_ip:
        return [binding.host_ip.strip("[]")]
    return ["0.0.0.0", "::"] if _has_ipv6() else ["0.0.0.0"]


def _has_ipv6() -> bool:
    with suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:  # no IPv6 here
        probe.bind(("::", 0))
        return True
    return False


def _key(binding: PortBinding) -> _Key:
    return (binding.proto, binding.host_ip, binding.host_port)
