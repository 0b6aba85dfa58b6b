"""Work on several layers at once: one fetch at a time for each layer of a store, and a common stop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from lamina.formats.digest import Digest
from lamina.store.store import Store


class _Turns:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting: dict[Digest, tuple[threading.Lock, int]] = {}


_TURNS: WeakKeyDictionary[Store, _Turns] = WeakKeyDictionary()
_MAKING = threading.Lock()


@contextmanager
def only_one(store: Store, digest: Digest) -> Iterator[None]:
    """Hold the turn for `digest` in `store` while the block runs."""
    with _MAKING:
        turns = _TURNS.setdefault(store, _Turns())
    with turns.lock:
        turn, count = turns.waiting.get(digest, (threading.Lock(), 0))
        turns.waiting[digest] = (turn, count + 1)
    try:
        with turn:
            yield
    finally:
        with turns.lock:
            turn, count = turns.waiting.pop(digest)
            if count > 1:
                turns.waiting[digest] = (turn, count - 1)


class Either(threading.Event):
    """Set by itself, or when another event is."""

    def __init__(self, other: threading.Event) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        return super().is_set() or self._other.is_set()
