"""Servers and questions inside network namespaces, by threads that live there."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
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


def listener(host: str, port: int) -> socket.socket:
    server = _socket(host, udp=False)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((host, port))
    server.listen()
    return server


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
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(address.encode())
    except OSError:
        return


def _serve_udp(server: socket.socket, address: str) -> None:
    while True:
        question, sender = server.recvfrom(100)
        if not question:
            return
        server.sendto(address.encode(), sender)
