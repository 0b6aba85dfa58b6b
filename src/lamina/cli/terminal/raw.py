"""A terminal in raw mode: every key goes to the container, none is for us."""

from __future__ import annotations

import os
import termios
import tty
from contextlib import suppress
from typing import Any


class RawMode:
    """Raw while it is entered; the mode from before comes back at exit, which may happen twice."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._before: list[Any] | None = None

    def __enter__(self) -> RawMode:
        self._before = termios.tcgetattr(self._fd)
        tty.setraw(self._fd, termios.TCSANOW)  # what was typed already must not be lost
        return self

    def __exit__(self, *unused: object) -> None:
        before, self._before = self._before, None
        if before is not None:
            with suppress(termios.error):  # the terminal is gone
                termios.tcsetattr(self._fd, termios.TCSADRAIN, before)


def size(fd: int) -> tuple[int, int] | None:
    """(rows, columns) of the terminal; None where it has none."""
    try:
        found = os.get_terminal_size(fd)
    except OSError:
        return None
    return (found.lines, found.columns) if found.lines and found.columns else None
