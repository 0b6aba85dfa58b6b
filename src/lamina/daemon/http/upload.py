"""A request's body as a file that blocking code reads in a worker thread while the event loop receives."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from aiohttp import ClientPayloadError, StreamReader

from lamina.errors import Cancelled, TooLarge

PIECE = 1 << 20  # bytes received or read at once
_HIGH = 8 << 20  # bytes received and not yet read before receiving waits,
_LOW = 4 << 20  # and how few there must be before it goes on


class Body(Protocol):
    """A request's body, or a part of it."""

    async def readany(self) -> bytes:
        """Return the next bytes, b"" at the end."""
        ...


class Upload:
    """The body as a file. `read` returns b"" at the end, and raises Cancelled if the client went away."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Event()
        self._some = threading.Condition()
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._rest = memoryview(b"")
        self._over = False
        self._lost = False
        self._closed = False

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, at least one before the end."""
        if not self._rest:
            self._rest = memoryview(self._next())
        if size >= len(self._rest) and isinstance(self._rest.obj, bytes) and len(self._rest.obj) == len(self._rest):
            piece, self._rest = self._rest.obj, memoryview(b"")  # a whole piece: no copy
            return piece
        piece, self._rest = bytes(self._rest[:size]), self._rest[size:]
        return piece

    def whole(self, limit: int) -> bytes:
        """Return the whole body. Raise TooLarge past `limit` bytes."""
        body = bytearray()
        while piece := self.read(PIECE):
            body += piece
            if len(body) > limit:
                raise TooLarge(f"the request's body is larger than {limit >> 20} MiB", limit=limit)
        return bytes(body)

    def readable(self) -> bool:
        return True

    def _next(self) -> bytes:
        with self._some:
            self._some.wait_for(lambda: self._pieces or self._over or self._lost)
            if not self._pieces:
                if self._lost:
                    raise Cancelled("the client went away before it had sent everything")
                return b""
            piece = self._pieces.popleft()
            before, self._size = self._size, self._size - len(piece)
        if before >= _LOW > self._size:
            with suppress(RuntimeError):  # the loop has ended: nothing more comes
                self._loop.call_soon_threadsafe(self._room.set)
        return piece

    async def receive(self, body: Body) -> None:
        """Receive until the body ends. Wait while the reader is `_HIGH` bytes behind."""
        try:
            while not self._closed and (piece := await body.readany()):
                await self._put(piece)
            self._end(lost=self._closed)
        except BaseException as error:
            self._end(lost=True)
            if not isinstance(error, ClientPayloadError | ConnectionError):
                raise

    async def _put(self, piece: bytes) -> None:
        with self._some:
            self._pieces.append(piece)
            self._size += len(piece)
            self._some.notify()
            full = self._size >= _HIGH
            if full:
                self._room.clear()
        if full:
            await self._room.wait()

    def _end(self, *, lost: bool) -> None:
        with self._some:
            self._over, self._lost = True, lost
            self._some.notify_all()

    def close(self) -> None:
        """Stop receiving."""
        self._closed = True


@asynccontextmanager
async def receiving(body: Body) -> AsyncIterator[Upload]:
    """Receive a request's body while the block runs, for blocking code in a worker thread."""
    if isinstance(body, StreamReader):
        body.set_read_chunk_size(PIECE)
    upload = Upload()
    task = asyncio.ensure_future(upload.receive(body))
    try:
        yield upload
    finally:
        upload.close()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
