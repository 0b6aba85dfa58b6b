"""Locks by key, so that work on one thing never waits for work on another."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from lamina.cancellation import NEVER, Cancellation

_GLANCE = 0.25  # seconds between looks whether a wait is still wanted

K = TypeVar("K")
V = TypeVar("V")


class InUse(Generic[K, V]):
    """Values by key. A value is made for its first user, and forgotten when its last user is done. Thread-safe."""

    def __init__(self, make: Callable[[], V]) -> None:
        self._make = make
        self._guard = threading.Lock()
        self._values: dict[K, tuple[V, int]] = {}

    def __len__(self) -> int:
        return len(self._values)

    @contextlib.contextmanager
    def use(self, key: K) -> Iterator[V]:
        """Yield the value of `key`, the same to everybody who uses it at that time."""
        with self._guard:
            value, users = self._values[key] if key in self._values else (self._make(), 0)
            self._values[key] = (value, users + 1)
        try:
            yield value
        finally:
            with self._guard:
                value, users = self._values.pop(key)
                if users > 1:
                    self._values[key] = (value, users - 1)


class KeyLocks(Generic[K]):
    """A reentrant lock per key, which exists only while somebody holds it or waits for it."""

    def __init__(self) -> None:
        self._locks: InUse[K, threading.RLock] = InUse(threading.RLock)

    def __len__(self) -> int:
        return len(self._locks)

    @contextlib.contextmanager
    def hold(self, key: K, cancellation: Cancellation = NEVER) -> Iterator[None]:
        """Hold the lock of `key` for the block. Raise Cancelled while another holds it."""
        with self._locks.use(key) as lock:
            while not lock.acquire(timeout=_GLANCE):
                cancellation.check()
            try:
                yield
            finally:
                lock.release()
