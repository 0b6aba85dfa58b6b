"""Servers and questions inside network namespaces, by threads that live there."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TypeVar

from lamina.network.namespaces import inside

T = TypeVar("T")


def in_namespace(path: Path, work: Callable[[], T]) -> T:
    with inside(path):
        return work()


def _socket(host: str, udp: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.socket(family, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)


def ask(host: str, port: int, *, udp: bool = False, timeout: float = 5) -> str:
    """What the server at that place says of itself. Raises OSError where none answers."""
    with _socket(host, udp) as connection:
        connection.settimeout(timeout)
        connection.connect((host, port))
        connection.send(b"who?")
        return connection.recv(100).decode()


def ping(address: str) -> bool:
    """Whether an echo request is answered (RFC 792, RFC 4443)."""
    ipv6 = ":" in address
    family, protocol = (socket.AF_INET6, socket.IPPROTO_ICMPV6) if ipv6 else (socket.AF_INET, socket.IPPROTO_ICMP)
    # The kernel fills in the checksum for IPv6 only. For IPv4 it is the complement of the one word that is not zero.
    request = b"\x80\0\0\0\0\0\0\0" if ipv6 else b"\x08\0\xf7\xff\0\0\0\0"
    with socket.socket(family, socket.SOCK_RAW, protocol) as raw:
        raw.settimeout(1)
        raw.sendto(request, (address, 0))
        with suppress(TimeoutError):
            while True:
                answer, _ = raw.recvfrom(1500)
                if answer[0 if ipv6 else 20] == (129 if ipv6 else 0):
                    return True
    return False


def listener(host: str, port: int) -> socket.socket:
    server = _socket(host, udp=False)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((host, port))
    server.listen()
    return server


@contextmanager
def peer_server(path: Path, address: str, port: int) -> Iterator[None]:
    """A server in a namespace that answers every question with the address that it came from."""
    with inside(path):
        server = listener(address, port)
    serve = threading.Thread(target=_serve_tcp, args=(server, ""))
    serve.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        serve.join()
        server.close()


@contextmanager
def echo_server(path: Path | None, address: str, port: int, *, udp: bool = False) -> Iterator[None]:
    """A server in a namespace (None: the present one) that answers every question with its own address."""
    with inside(path) if path else nullcontext():
        server = _socket(address, udp) if udp else listener(address, port)
        if udp:
            server.bind((address, port))
    serve = threading.Thread(target=_serve_udp if udp else _serve_tcp, args=(server, address))
    serve.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR) if not udp else server.sendto(b"", server.getsockname())
        serve.join()
        server.close()


def _serve_tcp(server: socket.socket, address: str) -> None:
    try:
        while True:
            connection, peer = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall((address or peer[0]).encode())
    except OSError:
        return


def _serve_udp(server: socket.socket, address: str) -> None:
    while True:
        question, sender = server.recvfrom(100)
        if not question:
            return
        server.sendto(address.encode(), sender)
