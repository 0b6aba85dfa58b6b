"""A container in the foreground: its stream on our terminal until it ends or the user detaches."""

from __future__ import annotations

import os
import signal
import sys
import termios
import time
import tty
from contextlib import ExitStack, suppress

from lamina.cli.terminal.pump import FORWARDED, RESIZED, DetachFilter, Pump, Signals, parse_keys
from lamina.errors import CommandFailed, InvalidInput, LaminaError
from lamina.light import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from lamina.api.stream import Stream
    from lamina.client.waiting import Waiting


class RawMode:
    """Raw mode while entered. The exit restores the earlier mode; a second exit does nothing."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._before: list[Any] | None = None

    def __enter__(self) -> RawMode:
        self._before = termios.tcgetattr(self._fd)
        tty.setraw(self._fd, termios.TCSANOW)  # keep the keys that were typed already
        return self

    def __exit__(self, *unused: object) -> None:
        before, self._before = self._before, None
        if before is not None:
            with suppress(termios.error):  # the terminal is gone
                termios.tcsetattr(self._fd, termios.TCSADRAIN, before)


def terminal_size(fd: int) -> tuple[int, int] | None:
    """Return (rows, columns) of the terminal, or None if it has no size."""
    try:
        size = os.get_terminal_size(fd)
    except OSError:
        return None
    return (size.lines, size.columns) if size.lines and size.columns else None


RESIZE_TRIES = 5  # the process may not have its terminal yet
RESIZE_PAUSE = 0.01  # seconds


class Attachment(NamedTuple):
    """How to follow a container or an exec in the foreground.

    `resize` takes rows and columns. `kill` takes a signal's number; None keeps signals from the container.
    """

    tty: bool
    stdin: bool
    detach_keys: str
    resize: Callable[[int, int], None]
    kill: Callable[[int], None] | None


def check_terminal(tty: bool, stdin: bool) -> None:
    """Raise InvalidInput if the container needs a terminal for input and stdin is none."""
    if tty and stdin and not sys.stdin.isatty():
        raise InvalidInput("the input device is not a TTY", advice="Leave out -t, or run it in a terminal")


def attend(stream: Stream, attachment: Attachment, begin: Callable[[], None] | None) -> bool:
    """Call `begin`, which starts the process where it does not run yet, then pump its stream.

    Return True when the stream ended, and False when the user detached.
    """
    raw_input = attachment.tty and attachment.stdin and sys.stdin.isatty()
    keys = DetachFilter(parse_keys(attachment.detach_keys)) if attachment.tty and attachment.stdin else None

    def on_signal(number: int) -> None:
        if number == RESIZED:
            _resize(attachment.resize, tries=1)
        elif attachment.kill is not None:
            with suppress(LaminaError):  # the process ended meanwhile
                attachment.kill(number)

    numbers = [RESIZED] if attachment.tty else []
    numbers += FORWARDED if attachment.kill is not None and not raw_input else []
    with ExitStack() as stack:
        stack.callback(stream.close)
        signals = stack.enter_context(Signals(numbers))
        if begin is not None:
            begin()
        if raw_input:
            stack.enter_context(RawMode(sys.stdin.fileno()))
        if attachment.tty:
            _resize(attachment.resize, tries=RESIZE_TRIES)
        stdin = sys.stdin.fileno() if attachment.stdin else None
        return Pump(stream, stdin, detach=keys, signals=signals, on_signal=on_signal).run()


def _resize(resize: Callable[[int, int], None], tries: int) -> None:
    size = terminal_size(sys.stdout.fileno()) or terminal_size(sys.stdin.fileno())
    if size is None:
        return
    for attempt in range(tries):
        try:
            resize(*size)
            return
        except LaminaError:
            time.sleep(RESIZE_PAUSE * (attempt + 1))


def signal_name(number: int) -> str:
    """Return the name that the API takes, such as "TERM"."""
    return signal.Signals(number).name.removeprefix("SIG")


def exit_code(waiting: Waiting) -> int:
    """Wait, and return the container's exit code. Raise CommandFailed where the engine could not run or wait for it."""
    ended = waiting.result()
    if ended.error:
        raise CommandFailed(ended.error, exit_code=125)
    return ended.exit_code
