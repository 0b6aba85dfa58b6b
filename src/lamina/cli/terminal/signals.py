"""Signals as something to poll for: each one that comes is a byte in a socket."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Iterable
from contextlib import suppress
from types import FrameType
from typing import Any

FORWARDED = tuple(
    getattr(signal, name)
    for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCONT")
)
RESIZED = signal.SIGWINCH
ENDING = (signal.SIGTERM, signal.SIGINT)
INSISTING = 3  # signals after which we leave


class Signals:
    """While entered, the signals named do nothing but show up in `received`. Main thread only.

    The third that asks us to end does end us, whatever the container made of the ones before: with docker's words, its
    exit code, and SystemExit.
    """

    def __init__(self, numbers: Iterable[int]) -> None:
        self._numbers = tuple(numbers)
        self._before: dict[int, Any] = {}
        self._requests = 0
        self._reader, self._writer = socket.socketpair()

    def __enter__(self) -> Signals:
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in self._numbers:
            self._before[number] = signal.signal(number, self._noted)
        return self

    def __exit__(self, *unused: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self._reader.close()
        self._writer.close()

    def fileno(self) -> int:
        """Readable when a signal came."""
        return self._reader.fileno()

    def received(self) -> list[int]:
        """The numbers of the signals that came since the last call."""
        with suppress(BlockingIOError):
            return [number for number in self._reader.recv(256) if number in self._numbers]
        return []

    def _noted(self, number: int, frame: FrameType | None) -> None:
        """Count requests to end. The wake-up socket has the number already."""
        self._requests += number in ENDING
        if self._requests == INSISTING:
            print("\ngot 3 SIGTERM/SIGINTs, forcefully exiting", file=sys.stderr)
            raise SystemExit(1)
