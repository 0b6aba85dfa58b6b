"""A request's body as a file that blocking code reads in a worker thread while the event loop receives."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiohttp import ClientPayloadError, web

from lamina.daemon.http.call import Call
from lamina.errors import Cancelled

_WAITING = 16  # pieces received and not yet read; each at most the connection's buffer


class Upload:
    """The reading end. `read` gives b"" at the end, and raises Cancelled where the client went away."""

    def __init__(self) -> None:
        self._pieces: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self._rest = memoryview(b"")
        self._over = False
        self._closed = False

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, at least one before the end; with -1 everything that is left."""
        if size < 0:
            return b"".join(iter(lambda: self.read(1 << 20), b""))
        while not self._rest and not self._over:
            self._next()
        piece, self._rest = bytes(self._rest[:size]), self._rest[size:]
        return piece

    def readable(self) -> bool:
        return True

    def _next(self) -> None:
        piece = self._pieces.get()
        if piece is None:
            raise Cancelled("the client went away before it had sent everything")
        self._rest = memoryview(piece)
        self._over = not piece

    async def receive(self, request: web.Request) -> None:
        """Receives until the body ends, never more than the reader can hold."""
        try:
            while piece := await request.content.readany():
                await self._put(piece)
                if self._closed:
                    return
            await self._put(b"")
        except (ClientPayloadError, ConnectionError):
            await self._put(None)
        except asyncio.CancelledError:
            self.abort()
            raise

    async def _put(self, piece: bytes | None) -> None:
        while not self._closed:
            with suppress(queue.Full):
                self._pieces.put_nowait(piece)
                return
            await asyncio.sleep(0.002)

    def close(self) -> None:
        """The reader wants no more."""
        self._closed = True

    def abort(self) -> None:
        """Lets a waiting reader end."""
        self._closed = True
        while True:
            with suppress(queue.Full):
                self._pieces.put_nowait(None)
                return
            with suppress(queue.Empty):
                self._pieces.get_nowait()


@asynccontextmanager
async def receiving(call: Call) -> AsyncIterator[Upload]:
    """The request's body while the block runs; for blocking code in a worker thread."""
    upload = Upload()
    task = asyncio.ensure_future(upload.receive(call.request))
    try:
        yield upload
    finally:
        upload.close()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
