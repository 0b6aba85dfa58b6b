"""One thread that listens to all monitors for the engine."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class _Watched:
    connection: socket.socket
    told: Callable[[dict[str, Any]], None]
    gone: Callable[[], None]
    rest: bytearray = field(default_factory=bytearray)


class Watcher:
    """Calls back as monitors tell something or go away. Callbacks run in the watcher's thread and must be quick."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._epoll.register(self._wake_read, select.EPOLLIN)
        self._watched: dict[int, _Watched] = {}
        self._closed = False
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def add(self, connection: socket.socket, told: Callable[[dict[str, Any]], None], gone: Callable[[], None]) -> None:
        """Takes over `connection`: `told` gets each JSON line, `gone` is called once when the monitor is no more."""
        connection.setblocking(False)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="monitors", daemon=True)
                self._thread.start()
            self._watched[connection.fileno()] = _Watched(connection, told, gone)
            self._epoll.register(connection.fileno(), select.EPOLLIN)

    def close(self) -> None:
        """Stops listening, without calling `gone`. Monitors and their tasks go on. May be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            os.write(self._wake_write, b"x")
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        for watched in self._watched.values():
            watched.connection.close()
        self._epoll.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _run(self) -> None:
        while not self._closed:
            for fd, _ in self._epoll.poll():
                watched = self._watched.get(fd)
                if watched is not None:
                    self._read(watched)

    def _read(self, watched: _Watched) -> None:
        try:
            data = watched.connection.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        watched.rest += data
        while (end := watched.rest.find(b"\n")) >= 0:
            line = bytes(watched.rest[:end])
            del watched.rest[: end + 1]
            with contextlib.suppress(ValueError):
                watched.told(json.loads(line))
        if not data:
            with self._lock:
                fd = watched.connection.fileno()
                self._epoll.unregister(fd)
                del self._watched[fd]
            watched.connection.close()
            watched.gone()
