"""One exchange of an HTTP/2 connection, as coroutines wait for it: headers, bytes both ways, trailers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from lamina.errors import Cancelled, Unavailable

Headers = Sequence[tuple[str, str]]


class Carrier(Protocol):
    """The connection below a stream, which is told by its number. It raises Cancelled for a stream that is over."""

    def credit(self, number: int, size: int, /) -> None: ...

    def window(self, number: int, /) -> int: ...

    def send(self, number: int, data: bytes, /) -> None: ...

    def send_headers(self, number: int, headers: Headers, /) -> None: ...

    def end(self, number: int, trailers: Headers, /) -> None: ...

    def reset(self, number: int, /) -> None: ...

    def release(self, number: int, /) -> None: ...


class Stream:
    """One exchange. `headers` are those that the other side began with; `trailers` are there once it has ended."""

    def __init__(self, connection: Carrier, number: int) -> None:
        self._connection = connection
        self._number = number
        self._pieces: deque[tuple[bytes, int]] = deque()
        self._wake = asyncio.Event()
        self._ended = False
        self._finished = False
        self._error: Unavailable | Cancelled | None = None
        self.room = asyncio.Event()
        self.headers: dict[str, str] = {}
        self.all_headers: Headers = ()
        self.trailers: dict[str, str] = {}

    async def wait_for_headers(self) -> None:
        """Wait until the other side has answered. Raise Unavailable or Cancelled when it went away."""
        while not self.headers and self._error is None:
            await self._next()
        if self._error is not None:
            raise self._error

    async def receive(self) -> bytes:
        """Return the next bytes, b"" at the end. Raise Unavailable when the connection broke, Cancelled on a reset."""
        while not self._pieces and not self._ended:
            if self._error is not None:
                raise self._error
            await self._next()
        return self.take()

    def take(self) -> bytes:
        """Return the bytes that are here already, or b""."""
        if not self._pieces:
            return b""
        data = b"".join(piece for piece, _ in self._pieces)
        credit = sum(size for _, size in self._pieces)
        self._pieces.clear()
        self._connection.credit(self._number, credit)
        return data

    async def _next(self) -> None:
        self._wake.clear()
        await self._wake.wait()

    async def send(self, data: bytes) -> None:
        """Send bytes, waiting for the other side's flow control. Raise as `receive` does."""
        view = memoryview(data)
        while view:
            if self._error is not None:
                raise self._error
            count = min(self._connection.window(self._number), len(view))
            if count:
                self._connection.send(self._number, bytes(view[:count]))
                view = view[count:]
            else:
                self.room.clear()
                await self.room.wait()

    def start(self, headers: Headers) -> None:
        """Send the answer's headers."""
        self._connection.send_headers(self._number, headers)

    def finish(self, trailers: Headers = ()) -> None:
        """End this side. Nothing more can be sent."""
        self._connection.end(self._number, trailers)
        self._finished = True
        self._release()

    def reset(self) -> None:
        """Cut the exchange. A second call, or one after its end, does nothing."""
        self._connection.reset(self._number)
        self.break_off(Cancelled("the call was cancelled"))

    @property
    def is_over(self) -> bool:
        """Return whether the other side sends no more."""
        return self._ended or self._error is not None

    # What the connection tells.

    def begin(self, headers: Headers) -> None:
        """Note the headers of the other side."""
        self.all_headers = headers
        self.headers = dict(headers)
        self._wake.set()

    def feed(self, data: bytes, size: int) -> None:
        """Note bytes of the other side; `size` counts against the window."""
        self._pieces.append((data, size))
        self._wake.set()

    def end(self, trailers: Headers | None = None) -> None:
        """Note the end of the other side, or its trailers."""
        if trailers is None:
            self._ended = True
            self._release()
        else:
            self.trailers = dict(trailers)
        self._wake.set()

    def _release(self) -> None:
        if self._ended and self._finished:
            self._connection.release(self._number)

    def break_off(self, error: Unavailable | Cancelled) -> None:
        """Note that nothing more comes, and why."""
        if not self._ended:
            self._error = self._error or error
        self._wake.set()
        self.room.set()
