"""Sockets and what is called when they are ready: as much of an event loop as the name server and its keeper need."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable

READ, WRITE = select.EPOLLIN, select.EPOLLOUT


class Loop:
    """Call a function for each socket that is ready.

    An exception of such a function goes to `failed`, and the loop goes on: one client's packet must not end them all.
    """

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        self._failed = failed
        self._epoll = select.epoll()
        self._calls: dict[int, Callable[[], None]] = {}
        self.now = time.monotonic()
        self.ended = False

    def add(self, ready: socket.socket | int, call: Callable[[], None], events: int = READ) -> None:
        """Have `call` called whenever one of `events` is there."""
        descriptor = ready if isinstance(ready, int) else ready.fileno()
        self._calls[descriptor] = call
        self._epoll.register(descriptor, events)

    def remove(self, ready: socket.socket | int) -> None:
        """Stop watching a socket, which must be done before it is closed. A socket that was not added is ignored."""
        descriptor = ready if isinstance(ready, int) else ready.fileno()
        if self._calls.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def replace(self, ready: socket.socket, call: Callable[[], None], events: int) -> None:
        """Have another function called for a socket, or for other events."""
        self._calls[ready.fileno()] = call
        self._epoll.modify(ready.fileno(), events)

    def run_once(self, timeout: float | None) -> None:
        """Wait for at most `timeout` seconds (None: without end), then make the calls that are due."""
        ready = self._epoll.poll(timeout)
        self.now = time.monotonic()
        for descriptor, _ in ready:
            call = self._calls.get(descriptor)
            if call is not None:  # an earlier call of this round may have removed it
                try:
                    call()
                except Exception as error:  # a bug: `failed` logs it
                    self._failed(error)

    def close(self) -> None:
        """Forget all sockets; they stay open."""
        self._epoll.close()
        self._calls.clear()
