"""A proxy between a client and a registry that cuts connections after some bytes, and counts what passed."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType


def between(least: int, most: int, seed: int = 1) -> Iterator[int]:
    """Random budgets without end."""
    numbers = random.Random(seed)
    while True:
        yield numbers.randint(least, most)


class CuttingProxy:
    """Passes TCP on. Connection n dies after the n-th of `budgets` in bytes, both directions together; see `cuts`."""

    def __init__(self, target: str, budgets: Iterator[int]) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._budgets = budgets
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.downstream = 0  # bytes to clients
        self.upstream = 0  # bytes to the registry
        self.cuts = 0

    def __enter__(self) -> CuttingProxy:
        self._spawn(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _spawn(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = self._connect()
            budget = _Budget(next(self._budgets))
            self._spawn(self._pump, client, server, budget, True)
            self._spawn(self._pump, server, client, budget, False)

    def _connect(self) -> socket.socket:
        return socket.create_connection(self._target)

    def _pump(self, source: socket.socket, sink: socket.socket, budget: _Budget, up: bool) -> None:
        with suppress(OSError):
            while piece := source.recv(16384):
                allowed = budget.take(len(piece))
                sink.sendall(piece[:allowed])
                with self._lock:
                    if up:
                        self.upstream += allowed
                    else:
                        self.downstream += allowed
                if allowed < len(piece):
                    with self._lock:
                        self.cuts += 1
                    break
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class _Budget:
    """Bytes that a connection may carry in both directions together."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = threading.Lock()

    def take(self, wanted: int) -> int:
        with self._lock:
            taken = min(wanted, self._left)
            self._left -= taken
            return taken
