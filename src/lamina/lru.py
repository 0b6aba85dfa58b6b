"""A cache of bounded size that drops what was not used for longest."""

from __future__ import annotations

import _thread  # and not threading: containers' monitors load this (see runtime/monitor/cgroup.py)
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class LruCache(Generic[K, V]):
    """At most `capacity` values by key. Thread-safe.

    `on_drop` is called with each value that leaves the cache, except by `pop`: the oldest, a replaced value, and all
    values at `clear`. For the results of a function use functools.lru_cache instead.
    """

    def __init__(self, capacity: int, on_drop: Callable[[V], object] | None = None) -> None:
        self._capacity = capacity
        self._on_drop = on_drop
        self._values: OrderedDict[K, V] = OrderedDict()
        self._lock = _thread.allocate_lock()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K) -> V | None:
        """Return the value of `key`, which counts as a use; None where there is none."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def put(self, key: K, value: V) -> None:
        """Keep `value` as the newest, in place of what `key` had."""
        dropped: list[V] = []
        with self._lock:
            if key in self._values:
                dropped.append(self._values.pop(key))
            self._values[key] = value
            if len(self._values) > self._capacity:
                dropped.append(self._values.popitem(last=False)[1])
        self._drop(dropped)

    def pop(self, key: K) -> V | None:
        """Remove and return the value of `key`, which now belongs to the caller; None where there is none."""
        with self._lock:
            return self._values.pop(key, None)

    def clear(self) -> None:
        """Drop everything; a second call does nothing."""
        with self._lock:
            dropped = list(self._values.values())
            self._values.clear()
        self._drop(dropped)

    def _drop(self, values: list[V]) -> None:
        if self._on_drop is not None:
            for value in values:
                self._on_drop(value)
