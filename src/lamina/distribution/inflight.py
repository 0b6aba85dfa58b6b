"""A stop that several pieces of work have in common."""

from __future__ import annotations

import threading


class Either(threading.Event):
    """Set by itself, or when another event is."""

    def __init__(self, other: threading.Event) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        return super().is_set() or self._other.is_set()
