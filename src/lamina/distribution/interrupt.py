"""Connections that a token can interrupt: whoever waits for the other side is woken by the end of the stream.

Here it is also seen which server each connection leads to, before that is asked for anything.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from weakref import WeakSet

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from lamina.cancellation import Cancellation

Connection = HTTPConnection | HTTPSConnection


class Connections:
    """The connections of several pool managers. Thread-safe; `interrupt` may be called from a signal handler."""

    def __init__(self, cancellation: Cancellation) -> None:
        self._cancellation = cancellation
        self._open: WeakSet[Connection] = WeakSet()

    def adopt(
        self, manager: urllib3.PoolManager, check_server: Callable[[str], None] | None = None
    ) -> urllib3.PoolManager:
        """Have `manager` make its connections here. Call this before the first request.

        `check_server` is called with the address of each server, but not of proxies, and raises for a forbidden one.
        """
        connections = self
        check = None if isinstance(manager, urllib3.ProxyManager) else check_server

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                connections.add(self, check)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                connections.add(self, check)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        manager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
        return manager

    def add(self, connection: Connection, check: Callable[[str], None] | None = None) -> None:
        """Add a connection that has just been made. Raise Cancelled after an interrupt, and what `check` raises.

        A refused connection is closed.
        """
        try:
            self._open.add(connection)
            self._cancellation.check()
            if check is not None:
                check(connection.sock.getpeername()[0])
        except BaseException:
            connection.close()
            raise

    def interrupt(self) -> None:
        """End every connection, for the threads that read from it or write to it."""
        for connection in list(self._open):
            hang_up(connection)


def hang_up(connection: object) -> None:
    """End a connection for the thread that uses it. Ignore one that is closed, or was never opened."""
    sock = getattr(connection, "sock", None)
    if isinstance(sock, socket.socket):
        with suppress(OSError):  # it has ended by itself
            # Past TLS, whose own shutdown is not for another thread to call.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)
