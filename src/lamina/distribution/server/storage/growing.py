"""A file that grows by what a client sends: hashing and writing one batch overlaps with receiving the next."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from lamina.distribution.server.storage.files import flush, write_at

if TYPE_CHECKING:
    from hashlib import _Hash

_BATCH = 1 << 20  # bytes handed to a thread at a time
_FLUSH = 32 << 20  # bytes after which the disk is put to work, so that the end need not wait for all of it
_INLINE = 64 << 10  # bytes that are cheaper to write on the spot


class Growing:
    """Adds pieces behind the first `size` bytes of `fd`, and feeds them to `hasher` where there is one.

    `end` must be awaited before `fd` is closed or `size` trusted. Both methods raise NoSpace, OSError.
    """

    def __init__(self, threads: Executor, fd: int, hasher: _Hash | None, size: int) -> None:
        self.size = size
        self._threads = threads
        self._fd = fd
        self._hasher = hasher
        self._batch: list[bytes] = []
        self._waiting = 0
        self._writing: asyncio.Future[None] | None = None
        self._flushing: asyncio.Future[None] | None = None
        self._flushed = size

    async def add(self, piece: bytes) -> None:
        """Take the next bytes; waits while the batch before is being written."""
        self._batch.append(piece)
        self._waiting += len(piece)
        if self._waiting >= _BATCH:
            if self._writing:
                await asyncio.shield(self._writing)
            self._write()
            if self.size - self._flushed >= _FLUSH and (self._flushing is None or self._flushing.done()):
                self._flush()

    async def end(self) -> None:
        """Write what waits, and wait for what is under way: a failed flush tells its error only once."""
        if self._writing:
            await asyncio.shield(self._writing)
        if self._waiting > _INLINE:
            await asyncio.shield(self._write())
        elif self._waiting:
            write_at(self._fd, self._hasher, self._batch, self.size)
            self.size += self._waiting
        if self._flushing:
            await asyncio.shield(self._flushing)

    def _write(self) -> asyncio.Future[None]:
        writing = asyncio.get_running_loop().run_in_executor(
            self._threads, write_at, self._fd, self._hasher, self._batch, self.size
        )
        self.size += self._waiting
        self._writing, self._batch, self._waiting = writing, [], 0
        return writing

    def _flush(self) -> None:
        if self._flushing:
            self._flushing.result()
        self._flushed = self.size
        self._flushing = asyncio.get_running_loop().run_in_executor(self._threads, flush, self._fd)
