"""A terminal as standard output or error: all text that is written to it is printable.

What a container says goes past it, as bytes: `logs`, `attach`, `run` and `exec` are that container's own screen.
"""

from __future__ import annotations

import io
import sys

from lamina.formats.text import printable
from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

_LAYOUT = "\n\t"


class Screen(io.TextIOWrapper):
    """Text on a terminal. `drive` alone sends control sequences."""

    def write(self, text: str, /) -> int:
        super().write(printable(text, _LAYOUT))
        return len(text)

    def drive(self, text: str) -> None:
        """Write text as it is: moves, colours, and what was made printable before."""
        super().write(text)


def drive(stream: TextIO, text: str) -> None:
    """Write text with control sequences of our own to `stream`, which may be a Screen."""
    if isinstance(stream, Screen):
        stream.drive(text)
    else:
        stream.write(text)


def quoted(message: str) -> str:
    """Return words of a daemon or a registry, printable. Further lines are indented, so that none looks like ours."""
    return printable(message, "\n").replace("\n", "\n  ")


def guard_terminals() -> None:
    """Put a Screen in the place of standard output and standard error, where they are terminals.

    Names of files that are not text are written elsewhere, byte by byte.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper):
            continue
        if stream.isatty():
            encoding = stream.encoding
            setattr(sys, name, Screen(stream.detach(), encoding, "surrogateescape", line_buffering=True))
        else:
            stream.reconfigure(errors="surrogateescape")
