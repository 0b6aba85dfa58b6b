"""Blobs and uploads in local files.

ROOT/uploads/<id>-<repository's hash>       what came so far; its length is the upload's offset
ROOT/blobs/<algorithm>/<2 hex>/<hex>.<id>   finished content
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import re
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lamina.errors import Unavailable
from lamina.formats.digest import DEFAULT, Digest, new_hasher
from lamina.linux.files import private_directory
from lamina.lru import LruCache
from lamina.registry.metadata.repositories import Placed
from lamina.registry.storage.files import (
    hash_file,
    open_file,
    remove_older,
    settle,
    unknown_files,
)
from lamina.registry.storage.growing import BLOCK, Growing
from lamina.registry.storage.protocol import SMALL, Body, busy, out_of_order, upload_unknown, wrong_digest

if TYPE_CHECKING:
    from hashlib import _Hash

T = TypeVar("T")
_BATCH = 1 << 20  # bytes handed to a thread at a time
_REMEMBERED = 4096  # uploads whose running hash is kept between requests
_ID = re.compile(r"[0-9a-f]{32}")
_LARGEST_WARMED = 1 << 30  # bytes; more would push out of memory what others ask for
_WARM_WINDOW = 4 << 20
_WARM_PROBE = 16 * _WARM_WINDOW  # bytes after which a slow disk has shown itself
_SLOW_DISK = 100e6  # bytes in a second: such a disk has better things to do
_MOST_WAITING = 16  # files that wait their turn


class LocalStorage:
    """Files below one directory. Several processes may share it: an upload has one writer at a time, by file lock."""

    minimum_chunk = 0

    def __init__(self, root: Path) -> None:
        self._uploads = root / "uploads"
        self._blobs = root / "blobs"
        for folder in (self._uploads, self._blobs):
            private_directory(folder)
        self._threads = ThreadPoolExecutor(8, "registry-files")
        self._warmer = Warmer()
        self._hashers: LruCache[str, tuple[_Hash, int]] = LruCache(_REMEMBERED)

    async def create(self, repository: str, algorithm: str) -> str:
        upload = uuid.uuid4().hex
        os.close(open_file(self._path(repository, upload), os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        self._remember(upload, new_hasher(algorithm), 0)
        return upload

    async def offset(self, repository: str, upload: str) -> int:
        try:
            return self._path(repository, upload).stat().st_size
        except FileNotFoundError as error:
            raise upload_unknown(upload) from error

    async def append(self, repository: str, upload: str, start: int | None, body: Body) -> int:
        fd = self._open_upload(repository, upload)
        try:
            size = os.fstat(fd).st_size
            if start is not None and start != size:
                raise out_of_order(start, size)
            hasher = self._recall(upload, size)
            self._hashers.pop(upload)
            growing = Growing(self._threads, fd, hasher, size)
            try:
                async for piece in body:
                    await growing.add(piece)
            finally:
                await growing.end()
                if hasher is not None:
                    self._remember(upload, hasher, growing.size)
            if not os.fstat(fd).st_nlink:  # cancelled or expired meanwhile
                self._hashers.pop(upload)
                raise upload_unknown(upload)
            return growing.size
        finally:
            os.close(fd)

    async def finish(self, repository: str, upload: str, digest: Digest) -> Placed:
        fd = self._open_upload(repository, upload)
        try:
            size = os.fstat(fd).st_size
            hasher = self._recall(upload, size)
            if hasher is None or hasher.name != digest.algorithm:
                hasher = await self._in_thread(hash_file, fd, digest.algorithm)
            source = self._path(repository, upload)
            self._hashers.pop(upload)
            actual = Digest.from_hasher(hasher)
            if actual != digest:
                source.unlink(missing_ok=True)
                raise wrong_digest(digest, actual)
            if size <= SMALL:
                content = os.pread(fd, size, 0)
                source.unlink()
                return Placed("", size, content)
            location = f"{digest.algorithm}/{digest.encoded[:2]}/{digest.encoded}.{upload}"
            await self._in_thread(settle, fd, source, self._blobs / location)
            if size >= BLOCK:
                self._warmer.warm(self._blobs / location, size)
            return Placed(location, size)
        except FileNotFoundError as error:  # cancelled or expired meanwhile
            raise upload_unknown(upload) from error
        finally:
            os.close(fd)

    async def cancel(self, repository: str, upload: str) -> None:
        self._hashers.pop(upload)
        try:
            self._path(repository, upload).unlink()
        except FileNotFoundError as error:
            raise upload_unknown(upload) from error

    def file(self, location: str) -> Path | None:
        return self._blobs / location

    async def stream(self, location: str, first: int, count: int) -> AsyncIterator[bytes]:
        with (self._blobs / location).open("rb") as file:
            file.seek(first)
            while count and (piece := await self._in_thread(file.read, min(count, _BATCH))):
                count -= len(piece)
                yield piece

    async def url(self, location: str) -> str | None:
        return None

    def names(self, location: str) -> list[str]:
        return [location] if location else []

    async def remove(self, names: Iterable[str]) -> None:
        for name in names:
            (self._blobs / name).unlink(missing_ok=True)

    async def expire(self, before: float) -> int:
        return await self._in_thread(remove_older, self._uploads, before)

    async def orphans(self, referred: set[str], before: float) -> list[str]:
        return await self._in_thread(unknown_files, self._blobs, referred, before)

    async def check(self) -> None:
        if not os.access(self._uploads, os.W_OK):
            raise Unavailable("The registry's directory cannot be written to")

    async def close(self) -> None:
        self._warmer.close()
        self._threads.shutdown()

    def _open_upload(self, repository: str, upload: str) -> int:
        """Open and lock the upload's file. Raise NotFound, RangeInvalid where another request has it."""
        path = self._path(repository, upload)
        try:
            fd = open_file(path, os.O_RDWR)
        except FileNotFoundError as error:
            raise upload_unknown(upload) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(path.stat(), os.fstat(fd)):
                raise FileNotFoundError
        except BlockingIOError as error:
            size = os.fstat(fd).st_size
            os.close(fd)
            raise busy(size) from error
        except FileNotFoundError as error:  # another process made it a blob between the two calls
            os.close(fd)
            raise upload_unknown(upload) from error
        return fd

    def _path(self, repository: str, upload: str) -> Path:
        if not _ID.fullmatch(upload):
            raise upload_unknown(upload)
        return self._uploads / f"{upload}-{hashlib.sha256(repository.encode()).hexdigest()[:16]}"

    def _remember(self, upload: str, hasher: _Hash, size: int) -> None:
        self._hashers.put(upload, (hasher, size))

    def _recall(self, upload: str, size: int) -> _Hash | None:
        """Return the running hash if it covers what the file holds, else None. An empty upload has the default's."""
        hasher, covered = self._hashers.get(upload) or (None, -1)
        if covered == size:
            return hasher
        return new_hasher(DEFAULT) if size == 0 else None

    async def _in_thread(self, work: Callable[..., T], *args: Any) -> T:
        return await self._loop().run_in_executor(self._threads, work, *args)

    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()


class Warmer:
    """Reads one file after the other in a thread of its own; nothing is copied. `close` may be called twice."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "registry-warmer")
        self._waiting = threading.BoundedSemaphore(_MOST_WAITING)
        self._closing = False

    def warm(self, path: Path, size: int) -> None:
        """Read a file of `size` bytes soon, unless it is too large, or too much waits."""
        if size <= _LARGEST_WARMED and self._waiting.acquire(blocking=False):
            self._thread.submit(self._read, path, size)

    def close(self) -> None:
        self._closing = True
        self._thread.shutdown(cancel_futures=True)

    def _read(self, path: Path, size: int) -> None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # collected meanwhile
            return
        finally:
            self._waiting.release()
        try:
            began = time.monotonic()
            for start in range(0, size, _WARM_WINDOW):
                if self._closing or (start >= _WARM_PROBE and start < (time.monotonic() - began) * _SLOW_DISK):
                    return
                last = min(start + _WARM_WINDOW, size) - 1
                os.posix_fadvise(fd, start, last + 1 - start, os.POSIX_FADV_WILLNEED)
                os.pread(fd, 1, last)  # waits for all of it
        except OSError:  # whoever asks for the blob sees the error
            return
        finally:
            os.close(fd)
