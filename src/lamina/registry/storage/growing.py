"""A file that grows by what a client sends: hashing and writing one block overlap with receiving the next."""

from __future__ import annotations

import asyncio
import mmap
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from lamina.registry.storage.files import write_at, write_block

if TYPE_CHECKING:
    from hashlib import _Hash

BLOCK = 2 << 20  # bytes written at a time, past the page cache
_INLINE = 64 << 10  # bytes that are cheaper to write on the spot


class Growing:
    """Adds pieces behind the first `size` bytes of `fd`, and feeds them to `hasher` where there is one.

    Whole blocks go to the disk directly, at multiples of their size. Bytes before the first block and behind the last
    go through the page cache. Await `end` before closing `fd` or using `size` and `hasher`; after an error they are of
    no use. Both methods raise NoSpace, OSError.
    """

    def __init__(self, threads: Executor, fd: int, hasher: _Hash | None, size: int) -> None:
        self.size = size
        self._threads = threads
        self._fd = fd
        self._hasher = hasher
        self._first: list[bytes] | None = []  # what came so far, while that is little
        self._waiting = 0
        self._block = memoryview(b"")
        self._spare: memoryview | None = None
        self._working: asyncio.Future[list[None]] | None = None

    async def add(self, piece: bytes) -> None:
        """Take the next bytes. Wait while the block before them is being written."""
        if self._first is not None:
            self._first.append(piece)
            self._waiting += len(piece)
            if self._waiting <= _INLINE:
                return
            pieces, self._first, self._waiting = self._first, None, 0
            self._block = _new_block()
        else:
            pieces = [piece]
        for part in pieces:
            await self._fill(memoryview(part))

    async def end(self) -> None:
        """Write the last bytes, and wait until all are written."""
        await self._settled()
        if self._first is not None:
            self.size = write_at(self._fd, self._first, self.size)
            if self._hasher is not None:
                for piece in self._first:
                    self._hasher.update(piece)
        elif self._waiting:
            self._work()
            await self._settled()

    async def _fill(self, left: memoryview) -> None:
        while left:
            room = BLOCK - self.size % BLOCK - self._waiting
            part, left = left[:room], left[room:]
            self._block[self._waiting : self._waiting + len(part)] = part
            self._waiting += len(part)
            if len(part) == room:
                await self._settled()
                self._work()

    async def _settled(self) -> None:
        if self._working:
            await asyncio.shield(self._working)

    def _work(self) -> None:
        """Have the full block written and hashed, and fill the other block meanwhile."""
        loop = asyncio.get_running_loop()
        filled = self._block[: self._waiting]
        write = write_block if len(filled) == BLOCK else _write
        jobs = [loop.run_in_executor(self._threads, write, self._fd, filled, self.size)]
        if self._hasher is not None:
            jobs.append(loop.run_in_executor(self._threads, self._hasher.update, filled))
        self._working = asyncio.gather(*jobs)
        self._block, self._spare = self._spare or _new_block(), self._block
        self.size, self._waiting = self.size + self._waiting, 0


def _new_block() -> memoryview:
    """Return memory that begins at a page, as direct writing needs it; it goes when nothing refers to it any more."""
    return memoryview(mmap.mmap(-1, BLOCK))


def _write(fd: int, piece: memoryview, offset: int) -> None:
    write_at(fd, [piece], offset)
