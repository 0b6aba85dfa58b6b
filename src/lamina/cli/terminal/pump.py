"""Bytes between our standard files and a container's stream, both ways at once, with signals in between."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable
from contextlib import suppress

from lamina.cli.terminal.detach import DetachFilter
from lamina.cli.terminal.signals import Signals
from lamina.client.stream import Stream
from lamina.errors import Unavailable
from lamina.formats.frames import STDERR
from lamina.linux.writing import write_all

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
        """Until the stream ends (True), or the user detaches (False)."""
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
        """Take what is there; False where it holds the keys to detach."""
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
        if taken is None:  # nobody reads any more
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
