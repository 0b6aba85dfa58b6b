"""The clients attached to a task, and its input, which they write to."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from lamina.formats.frames import STDERR, STDOUT, frame_head
from lamina.runtime.monitor.loop import HANGUP, READ, WRITE, Loop

CHUNK = 64 * 1024
CLIENT_LIMIT = 1 << 20  # bytes a client may lag behind before the task's output waits for it, as with Docker
INPUT_LIMIT = 64 * 1024

_NUMBERS = {"stdout": STDOUT, "stderr": STDERR}


class Input:
    """The task's standard input: buffers what clients send, never blocks."""

    def __init__(self, loop: Loop, fd: int, closable: bool) -> None:
        """`closable` says that the end of a client's input closes the task's (never so for terminals)."""
        self._loop = loop
        self._fd = fd
        self._closable = closable
        self._pending = bytearray()
        self._ended = False
        self._feeders: list[Client] = []

    def connect(self, fd: int) -> None:
        """Set the descriptor that input goes to, where it was not known from the start (a terminal)."""
        self._fd = fd
        os.set_blocking(fd, False)
        self._flush()

    @property
    def full(self) -> bool:
        return len(self._pending) >= INPUT_LIMIT

    def join(self, client: Client) -> None:
        """Tell `client` from now on when there is room for more."""
        self._feeders.append(client)

    def leave(self, client: Client) -> None:
        if client in self._feeders:
            self._feeders.remove(client)

    def feed(self, data: bytes) -> None:
        self._pending += data
        self._flush()

    def end(self) -> None:
        """Note that a client's input has ended."""
        if self._closable:
            self._ended = True
            self._flush()

    def close(self) -> None:
        if self._fd >= 0:
            self._loop.forget(self._fd)
            os.close(self._fd)
            self._fd = -1
        self._pending.clear()

    def _flush(self) -> None:
        if self._fd < 0:
            return
        try:
            while self._pending:
                del self._pending[: os.write(self._fd, self._pending[:CHUNK])]
        except BlockingIOError:
            self._wait()
            return
        except OSError:
            self.close()
        if self._ended:
            self.close()
        for client in list(self._feeders):
            client.pull()

    def _wait(self) -> None:
        # The descriptor may be a terminal that is read through another one, so it is watched under its own number.
        self._loop.watch(self._fd, WRITE, lambda events: self._writable())

    def _writable(self) -> None:
        self._loop.forget(self._fd)
        self._flush()


class Client:
    """One attached connection."""

    def __init__(
        self,
        loop: Loop,
        connection: socket.socket,
        streams: frozenset[str],
        input: Input | None,
        changed: Callable[[], None],
        *,
        raw: bool,
        keys: bytes,
    ) -> None:
        """`changed` is called when the client lags behind, keeps up again, or is closed."""
        self._loop = loop
        self._connection = connection
        self._input = input
        self._raw = raw
        self._keys = keys if raw else b""
        self._matched = 0
        self._watched = -1
        self._pending = bytearray()
        self._finishing = False
        self.closed = False
        self._streams = streams
        self._changed = changed
        connection.setblocking(False)
        if input is not None:
            input.join(self)

    def begin(self) -> None:
        self._update()

    @property
    def lagging(self) -> bool:
        return len(self._pending) >= CLIENT_LIMIT

    def send(self, stream: str, data: bytes) -> None:
        if self.closed or stream not in self._streams:
            return
        head = b"" if self._raw else frame_head(_NUMBERS[stream], len(data))
        if not self._pending:
            data, head = self._send_now(head, data), b""
            if self.closed or not data:
                return
        self._pending += head
        self._pending += data
        self._flush()

    def _send_now(self, head: bytes, data: bytes) -> bytes:
        """Send without a copy what the socket takes at once. Return the rest."""
        try:
            sent = self._connection.sendmsg((head, data))
        except BlockingIOError:
            return head + data
        except OSError:
            self.close()
            return b""
        return data[sent - len(head) :] if sent >= len(head) else head[sent:] + data

    def finish(self) -> None:
        """Close the connection once everything is delivered."""
        self._finishing = True
        self._flush()

    def pull(self) -> None:
        """Check again whether there is room for the client's input."""
        if not self.closed:
            self._update()

    def _update(self) -> None:
        events = WRITE if self._pending else 0
        if self._input is not None and not self._input.full:
            events |= READ
        if events != self._watched:
            self._watched = events
            self._loop.watch(self._connection.fileno(), events, self._ready)

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._flush()
        if self.closed:
            return
        if events & READ and self._input is not None:
            self._receive()
        elif events & HANGUP:
            self._end_input()
            self.close()

    def _receive(self) -> None:
        try:
            data = self._connection.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end_input()
        elif self._input is not None:
            self._take(self._input, data)
        if not self.closed:
            self._update()

    def _end_input(self) -> None:
        if self._input is not None:
            taken, self._input = self._input, None
            taken.leave(self)
            taken.end()

    def _take(self, target: Input, data: bytes) -> None:
        """Pass input on, but for the detach keys: typed in full they end this client."""
        if not self._keys:
            target.feed(data)
            return
        passed = bytearray()
        for byte in data:
            if byte == self._keys[self._matched]:
                self._matched += 1
                if self._matched == len(self._keys):
                    target.feed(bytes(passed))
                    self.close()
                    return
                continue
            passed += self._keys[: self._matched]
            self._matched = 1 if byte == self._keys[0] else 0
            if not self._matched:
                passed.append(byte)
        target.feed(bytes(passed))

    def _flush(self) -> None:
        try:
            while self._pending:
                del self._pending[: self._connection.send(self._pending)]
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return
        if not self._pending and self._finishing:
            self.close()
        elif not self.closed:
            self._update()
            self._changed()

    def _drop_input(self) -> None:
        """Read what the client still sent: closed over unread input, the client would see a reset, not an end."""
        try:
            while self._connection.recv(CHUNK):
                pass
        except OSError:
            return

    def close(self) -> None:
        """Drop the connection and what was not delivered; may be called twice."""
        if not self.closed:
            self.closed = True
            self._loop.forget(self._connection.fileno())
            if self._input is not None:
                self._input.leave(self)
            self._drop_input()
            self._connection.close()
            self._pending.clear()
            self._changed()
