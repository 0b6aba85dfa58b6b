"""Rooms that open when they are first used, and close with the engine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    """A room that holds something open."""

    def close(self) -> None:
        """Give back what the room holds."""


R = TypeVar("R", bound=Closable)


class Lazy(Generic[R]):
    """Opens one room, once. Thread-safe; whoever asks while another thread opens the room waits for it.

    The room is closed by `closing`, after the rooms that were opened later. When opening fails, the next call tries
    again.

        networks = Lazy(open_networks, closing)
        networks().list()
    """

    def __init__(self, open: Callable[[], R], closing: ExitStack) -> None:
        self._open = open
        self._closing = closing
        self._lock = threading.RLock()
        self.room: R | None = None  # None until it is open
        self.begun = False  # it is open, or a thread is opening it

    def __call__(self) -> R:
        """Return the room, and open it first where it is not open yet."""
        if self.room is not None:  # without the lock: the threads of a room that is being opened use the others
            return self.room
        with self._lock:
            if self.room is None:
                self.begun = True
                try:
                    self.room = self._open()
                except BaseException:
                    self.begun = False
                    raise
                self._closing.callback(self.room.close)
            return self.room
