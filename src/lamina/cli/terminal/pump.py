"""Bytes between our standard files and a container's stream, both ways at once, with signals in between."""

from __future__ import annotations

import os
import select
import signal
import sys
from _socket import socketpair  # socket adds selectors
from contextlib import suppress

from lamina.errors import InvalidInput, Unavailable
from lamina.formats.frames import STDERR
from lamina.light import TYPE_CHECKING
from lamina.linux.writing import write_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType
    from typing import Any

    from lamina.api.stream import Stream

FORWARDED = tuple(
    getattr(signal, name)
    for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCONT")
)
RESIZED = signal.SIGWINCH
ENDING = (signal.SIGTERM, signal.SIGINT)
INSISTING = 3  # signals after which we leave


class Signals:
    """While entered, the named signals only appear in `received`. For the main thread only.

    The third SIGTERM or SIGINT raises SystemExit, with docker's message and exit code, even if the container ignored
    the first two.
    """

    def __init__(self, numbers: Iterable[int]) -> None:
        self._numbers = tuple(numbers)
        self._before: dict[int, Any] = {}
        self._requests = 0
        self._reader, self._writer = socketpair()

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
        """Return a descriptor that is readable when a signal came."""
        return self._reader.fileno()

    def received(self) -> list[int]:
        """Return the numbers of the signals since the last call."""
        with suppress(BlockingIOError):
            return [number for number in self._reader.recv(256) if number in self._numbers]
        return []

    def _noted(self, number: int, frame: FrameType | None) -> None:
        """Count requests to end. The wake-up socket has the number already."""
        self._requests += number in ENDING
        if self._requests == INSISTING:
            print("\ngot 3 SIGTERM/SIGINTs, forcefully exiting", file=sys.stderr)
            raise SystemExit(1)


DEFAULT = "ctrl-p,ctrl-q"


def parse_keys(text: str) -> bytes:
    """Return the bytes of a key sequence such as "ctrl-a,x". Raise InvalidInput."""
    keys = bytearray()
    for key in (text or DEFAULT).split(","):
        letter = key.removeprefix("ctrl-").lower() if key.startswith("ctrl-") else ""
        if letter and len(letter) == 1 and ((letter.isascii() and letter.isalpha()) or letter in "@[\\]^_"):
            keys.append(ord(letter.upper()) & 0x1F)
        elif len(key.encode()) == 1:
            keys += key.encode()
        else:
            raise InvalidInput(f"unknown detach key {key!r}", advice="Write keys like a or ctrl-a, with commas between")
    return bytes(keys)


class DetachFilter:
    """Watches input for the key sequence. A beginning of it is held back until the next key decides."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """Return the input to pass on, and whether the sequence was completed. Input behind the sequence is dropped."""
        out = bytearray()
        for byte in data:
            if byte == self._keys[self._held]:
                self._held += 1
                if self._held == len(self._keys):
                    self._held = 0
                    return bytes(out), True
                continue
            out += self._keys[: self._held]
            self._held = 1 if byte == self._keys[0] else 0
            if not self._held:
                out.append(byte)
            elif len(self._keys) == 1:
                return bytes(out), True
        return bytes(out), False


PIECE = 32 * 1024
READABLE = select.POLLIN | select.POLLHUP | select.POLLERR


class Pump:
    """One loop over one stream. `stdin` is a file descriptor, or None to send nothing."""

    def __init__(
        self,
        stream: Stream,
        stdin: int | None,
        *,
        detach: DetachFilter | None = None,
        signals: Signals | None = None,
        on_signal: Callable[[int], None] | None = None,
    ) -> None:
        self._stream = stream
        self._stdin = stdin
        self._detach = detach
        self._signals = signals
        self._on_signal = on_signal
        self._outgoing = b""  # read from stdin, not yet taken by the stream
        self._poll = select.poll()

    def run(self) -> bool:
        """Pump until the stream ends (return True) or the user detaches (return False)."""
        sys.stdout.flush()
        if self._signals is not None:
            self._poll.register(self._signals, select.POLLIN)
        self._watch()
        while True:
            ready = dict(self._poll.poll(0 if self._stream.pending else None))
            if self._signals is not None and self._signals.fileno() in ready:
                for number in self._signals.received():
                    if self._on_signal is not None:
                        self._on_signal(number)
            if self._stdin is not None and self._stdin in ready and not self._read_stdin():
                return False
            events = ready.get(self._stream.fileno(), 0)
            if events & select.POLLOUT or self._outgoing:
                self._send()
            if (events & READABLE or self._stream.pending) and not self._receive():
                return True
            self._watch()

    def _watch(self) -> None:
        """Poll for what can go on: no more input while some waits to be taken."""
        out = select.POLLOUT if self._outgoing else 0
        self._poll.register(self._stream, select.POLLIN | out)
        if self._stdin is not None:
            if self._outgoing:
                self._forget_stdin(keep=True)
            else:
                self._poll.register(self._stdin, select.POLLIN)

    def _forget_stdin(self, keep: bool = False) -> None:
        if self._stdin is not None:
            with suppress(KeyError):  # it was not watched
                self._poll.unregister(self._stdin)
        if not keep:
            self._stdin = None

    def _read_stdin(self) -> bool:
        """Read the available input. Return False if it holds the keys to detach."""
        assert self._stdin is not None
        try:
            data = os.read(self._stdin, PIECE)
        except OSError:  # a terminal that was closed
            data = b""
        if not data:
            self._forget_stdin()
            self._stream.close_write()
            return True
        if self._detach is not None:
            data, leaves = self._detach.feed(data)
            if leaves:
                return False
        self._outgoing += data
        return True

    def _send(self) -> None:
        taken = self._stream.offer(self._outgoing)
        if taken is None:  # the container's stdin is closed
            self._outgoing = b""
            self._forget_stdin()
        else:
            self._outgoing = self._outgoing[taken:]

    def _receive(self) -> bool:
        pieces = self._stream.receive()
        for channel, data in pieces or ():
            fd, name = (2, "stderr") if channel == STDERR else (1, "stdout")
            try:
                write_all(fd, data)
            except BrokenPipeError:
                raise Unavailable(f"write /dev/{name}: broken pipe", cli_exit=1) from None
        return pieces is not None
