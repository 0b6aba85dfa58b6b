"""A minimal event loop on epoll: descriptors, timers and dead children, in one thread."""

from __future__ import annotations

import heapq
import os
import select
import signal
import time
from collections.abc import Callable

READ = select.EPOLLIN
WRITE = select.EPOLLOUT
HANGUP = select.EPOLLHUP | select.EPOLLERR

Handler = Callable[[int], None]


class Loop:
    """Calls handlers as descriptors become ready. Handlers get the epoll event mask and must not block."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._running = True

    def watch(self, fd: int, events: int, handler: Handler) -> None:
        """Call `handler` when `fd` has any of `events`; a hang-up is always told. Replace an earlier watch."""
        if fd in self._handlers:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
        self._handlers[fd] = handler

    def forget(self, fd: int) -> None:
        """Stop watching `fd`; nothing happens when it was not watched."""
        if self._handlers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call `call` once, `seconds` from now."""
        self._count += 1
        heapq.heappush(self._timers, (time.monotonic() + seconds, self._count, call))

    def watch_children(self, on_exit: Callable[[int, int], None]) -> None:
        """Reap every child, adopted ones included, and call `on_exit(pid, wait status)` for each."""
        reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

        def reap(events: int) -> None:
            os.read(reading, 4096)
            while True:
                try:
                    pid, status = os.waitpid(-1, os.WNOHANG)
                except ChildProcessError:
                    return
                if pid == 0:
                    return
                on_exit(pid, status)

        self.watch(reading, READ, reap)

    def run(self) -> None:
        """Run until `stop` is called."""
        while self._running:
            wait = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
            for fd, events in self._epoll.poll(wait):
                handler = self._handlers.get(fd)
                if handler is not None:
                    handler(events)
            while self._timers and self._timers[0][0] <= time.monotonic():
                heapq.heappop(self._timers)[2]()

    def stop(self) -> None:
        """Make `run` return after the handlers of this round."""
        self._running = False
