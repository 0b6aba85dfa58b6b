"""Limits on what is open at once: connections, streams to clients, and long work for them.

Every stream and every long work has a thread and some descriptors of its own. Their numbers are bounded so that
ordinary requests always find what they need, whatever clients leave open. A request above a limit is refused.
"""

from __future__ import annotations

import threading
from enum import Enum, auto

from lamina.errors import Unavailable

_MOST_CONNECTIONS, _MOST_STREAMS, _MOST_WORK, _MOST_WINDOWS = 16384, 4096, 1024, 1024


class Kind(Enum):
    """How long a request may keep the daemon busy."""

    QUERY = auto()
    """It reads what is there, and never waits for a container, a client or a registry."""
    STREAM = auto()
    """It sends news for as long as its client listens."""
    PROCESS = auto()
    """It lasts as long as a container's process: attach, exec, wait."""
    WORK = auto()
    """It may take as long as a container, a client or a registry likes."""


class Gate:
    """Let at most `limit` holders in at once. Thread-safe."""

    def __init__(self, limit: int, refusal: str) -> None:
        """`refusal` is the sentence of the error, to which the limit is added."""
        self.limit = limit
        self._refusal = refusal
        self._inside = 0
        self._lock = threading.Lock()

    def enter(self) -> Slot:
        """Take a place. Raise Unavailable if none is left."""
        with self._lock:
            if self._inside >= self.limit:
                raise Unavailable(
                    f"{self._refusal} (the limit is {self.limit})", advice="Try again when some have ended."
                )
            self._inside += 1
        return Slot(self)

    def _leave(self) -> None:
        with self._lock:
            self._inside -= 1


class Slot:
    """A place behind a gate, or behind none; a context manager.

    It is free again when every holder has released it: the request that took it, and the threads that still work for
    a client that left.
    """

    def __init__(self, gate: Gate | None = None) -> None:
        self._gate = gate
        self._holders = 1
        self._lock = threading.Lock()

    @property
    def bounded(self) -> bool:
        """Return whether there is a gate."""
        return self._gate is not None

    def hold(self) -> None:
        """Add a holder, who must call `release` once."""
        with self._lock:
            self._holders += 1

    def release(self) -> None:
        """Release the place for one holder. The last one frees it."""
        with self._lock:
            self._holders -= 1
            last = self._holders == 0
        if last and self._gate is not None:
            self._gate._leave()

    def __enter__(self) -> Slot:
        return self

    def __exit__(self, *unused: object) -> None:
        self.release()


class Gates:
    """The bounds of one daemon: on its connections, its dashboard's, and on requests of each kind but queries."""

    def __init__(self, descriptors: int) -> None:
        """`descriptors` is how many files the process may have open.

        Beside its connection, a stream may hold two (a log and a watch on it), a request for a process one, and
        other work about four. The rest is left for everything else. Everybody on the machine reaches the dashboard's
        port, so its connections are no part of the API's.
        """

        def gate(share: int, most: int, refusal: str) -> Gate:
            return Gate(max(4, min(most, descriptors // share)), refusal)

        self.connections = gate(3, _MOST_CONNECTIONS, "too many connections are open")
        self.dashboard = gate(12, _MOST_WINDOWS, "too many connections to the dashboard are open")
        self._by_kind = {
            Kind.STREAM: gate(12, _MOST_STREAMS, "too many streams of logs, events and statistics are open"),
            Kind.PROCESS: gate(8, _MOST_STREAMS, "too many clients are attached to processes or wait for them"),
            Kind.WORK: gate(20, _MOST_WORK, "too many requests are being worked on"),
        }

    def enter(self, kind: Kind) -> Slot:
        """Take a place. Raise Unavailable if none is left."""
        gate = self._by_kind.get(kind)
        return gate.enter() if gate else Slot()
