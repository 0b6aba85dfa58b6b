"""A container in the foreground: its stream on our terminal until it ends or the user detaches."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import NamedTuple

from lamina.cli.terminal import raw
from lamina.cli.terminal.detach import DetachFilter, parse_keys
from lamina.cli.terminal.pump import Pump
from lamina.cli.terminal.signals import FORWARDED, RESIZED, Signals
from lamina.client.stream import Stream
from lamina.errors import InvalidInput, LaminaError

RESIZE_TRIES = 5  # the process may not have its terminal yet
RESIZE_PAUSE = 0.01  # seconds


class Attachment(NamedTuple):
    """What a foreground command needs of its container, or of its exec.

    `resize` takes rows and columns; `kill` a signal's number, or is None where signals are ours.
    """

    tty: bool
    stdin: bool
    detach_keys: str
    resize: Callable[[int, int], None]
    kill: Callable[[int], None] | None


def check_terminal(tty: bool, stdin: bool) -> None:
    """Raises InvalidInput where a terminal is wanted for input that is none."""
    if tty and stdin and not sys.stdin.isatty():
        raise InvalidInput("the input device is not a TTY", advice="Leave out -t, or run it in a terminal")


def attend(stream: Stream, attachment: Attachment, begin: Callable[[], None]) -> bool:
    """Call `begin` (which starts the process), then pump until the stream ends (True) or the user detaches (False)."""
    raw_input = attachment.tty and attachment.stdin and sys.stdin.isatty()
    keys = DetachFilter(parse_keys(attachment.detach_keys)) if attachment.tty and attachment.stdin else None

    def on_signal(number: int) -> None:
        if number == RESIZED:
            _resize(attachment.resize, tries=1)
        elif attachment.kill is not None:
            with suppress(LaminaError):  # it ended meanwhile
                attachment.kill(number)

    numbers = [RESIZED] if attachment.tty else []
    numbers += FORWARDED if attachment.kill is not None and not raw_input else []
    with ExitStack() as stack:
        stack.callback(stream.close)
        signals = stack.enter_context(Signals(numbers))
        begin()
        if raw_input:
            stack.enter_context(raw.RawMode(sys.stdin.fileno()))
        if attachment.tty:
            _resize(attachment.resize, tries=RESIZE_TRIES)
        stdin = sys.stdin.fileno() if attachment.stdin else None
        return Pump(stream, stdin, detach=keys, signals=signals, on_signal=on_signal).run()


def _resize(resize: Callable[[int, int], None], tries: int) -> None:
    size = raw.size(sys.stdout.fileno()) or raw.size(sys.stdin.fileno())
    if size is None:
        return
    for attempt in range(tries):
        try:
            resize(*size)
            return
        except LaminaError:
            time.sleep(RESIZE_PAUSE * (attempt + 1))


def signal_name(number: int) -> str:
    """The name that the API takes: "TERM"."""
    return signal.Signals(number).name.removeprefix("SIG")
