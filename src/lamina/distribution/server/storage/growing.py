"""A file that grows by what a client sends: hashing and writing one batch overlap with receiving the next."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from lamina.distribution.server.storage.files import begin_flush, hash_pieces, write_at

if TYPE_CHECKING:
    from hashlib import _Hash

_BATCH = 2 << 20  # bytes handed to threads at a time
_FLUSH = 16 << 20  # bytes after which the disk is put to work, so that the end need not wait for all of it
_INLINE = 64 << 10  # bytes that are cheaper to write on the spot


class Growing:
    """Adds pieces behind the first `size` bytes of `fd`, and feeds them to `hasher` where there is one.

    `end` must be awaited before `fd` is closed, and before `size` and `hasher` are trusted; not where it raises.
    Both methods raise NoSpace, OSError.
    """

    def __init__(self, threads: Executor, fd: int, hasher: _Hash | None, size: int) -> None:
        self.size = size
        self._threads = threads
        self._fd = fd
        self._hasher = hasher
        self._batch: list[bytes] = []
        self._waiting = 0
        self._flushed = size
        self._working: asyncio.Future[list[None]] | None = None

    async def add(self, piece: bytes) -> None:
        """Take the next bytes; waits while the batch before is being written."""
        self._batch.append(piece)
        self._waiting += len(piece)
        if self._waiting >= _BATCH:
            await self._settled()
            self._work()

    async def end(self) -> None:
        """Write what waits, and wait for what is under way."""
        await self._settled()
        if self._waiting > _INLINE:
            self._work()
            await self._settled()
        elif self._waiting:
            self.size = write_at(self._fd, self._batch, self.size)
            if self._hasher is not None:
                hash_pieces(self._hasher, self._batch)

    async def _settled(self) -> None:
        if self._working:
            await asyncio.shield(self._working)

    def _work(self) -> None:
        loop = asyncio.get_running_loop()
        end = self.size + self._waiting
        flush_from = self._flushed if end - self._flushed >= _FLUSH else end
        jobs = [loop.run_in_executor(self._threads, _write, self._fd, self._batch, self.size, flush_from)]
        if self._hasher is not None:
            jobs.append(loop.run_in_executor(self._threads, hash_pieces, self._hasher, self._batch))
        self._working = asyncio.gather(*jobs)
        if flush_from < end:
            self._flushed = end
        self.size, self._batch, self._waiting = end, [], 0


def _write(fd: int, pieces: Sequence[bytes], offset: int, flush_from: int) -> None:
    end = write_at(fd, pieces, offset)
    if flush_from < end:
        begin_flush(fd, flush_from, end - flush_from)
