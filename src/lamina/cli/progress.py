"""Progress of pulls, pushes, loads and builds: bars that move on a terminal, plain lines in a pipe.

Its text comes from Dockerfiles, their commands and registries, and is made printable. What a build's commands print
keeps its colours, and the carriage returns of progress bars.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TextIO

from lamina.cli.terminal.screen import drive
from lamina.formats.sizes import human_size
from lamina.formats.text import printable
from lamina.progress import Message, Output, Status

BAR = 50  # characters of a bar on a wide terminal
_LAYOUT = "\n\r\t"
NARROW = 110  # columns below which the bar is left out


class Display:
    """A Report that shows messages on `stream`. As a context manager it leaves the cursor below the last line."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._moves = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._lines: dict[str, int] = {}  # which line, from the top of the block, an id has
        self._height = 0

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *unused: object) -> None:
        self._stream.flush()

    def __call__(self, message: Message) -> None:
        if isinstance(message, Output):
            self._leave_block()
            red = message.error and self._moves and not os.environ.get("NO_COLOR")
            text = printable(message.text, _LAYOUT, colours=True)
            drive(self._stream, f"\x1b[91m{text}\x1b[0m" if red else text)
        elif isinstance(message, Status):
            self._status(replace(message, id=printable(message.id or ""), status=printable(message.status)))
        self._stream.flush()

    def _status(self, message: Status) -> None:
        if self._moves and message.id and message.current is not None:
            self._line_of(message.id, f"{message.id}: {message.status} {self._bar(message)}")
        elif self._moves and message.id:
            self._line_of(message.id, f"{message.id}: {message.status}")
        elif message.current is None or not message.id:
            self._leave_block()
            self._stream.write(f"{message.id}: {message.status}\n" if message.id else f"{message.status}\n")

    def _leave_block(self) -> None:
        self._lines.clear()
        self._height = 0

    def _line_of(self, identifier: str, text: str) -> None:
        """Rewrite the line of an id in place, or begin one below the block."""
        if identifier not in self._lines:
            self._lines[identifier] = self._height
            self._height += 1
            drive(self._stream, "\n")
        up = self._height - self._lines[identifier]
        drive(self._stream, f"\x1b[{up}A\r\x1b[2K{text}\x1b[{up}B\r")

    def _bar(self, message: Status) -> str:
        current, total = message.current or 0, message.total or 0
        if not total:
            return human_size(current)
        sizes = f"{human_size(current)}/{human_size(total)}"
        if os.get_terminal_size(self._stream.fileno()).columns < NARROW:
            return sizes
        done = min(BAR, current * BAR // total)
        bar = "=" * (done - 1) + ">" if done else ">"
        return f"[{bar:<{BAR}}] {sizes}"
