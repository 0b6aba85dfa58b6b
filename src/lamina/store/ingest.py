"""Bytes on their way in: written to a temporary, hashed as they pass, renamed when they are what they should be."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from lamina.errors import Corrupt, Internal, NoSpace
from lamina.formats.digest import Digest, new_hasher
from lamina.linux.writing import write_all
from lamina.store.content import ContentTable
from lamina.store.failures import disk_errors

_CHUNK = 1 << 20


class BlobIngest:
    """A blob being written. Leaving the block without `commit` drops it, or keeps it for later if it has a `ref`: not
    on a full disk, which what is kept would leave full."""

    def __init__(
        self, content: ContentTable, path: Path, algorithm: str, on_close: Callable[[], None], *, keep: bool
    ) -> None:
        self._content = content
        self._path = path
        self._algorithm = algorithm
        self._on_close = on_close
        self._keep = keep
        self._done = False
        try:
            with disk_errors():
                self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._rehash()
        except BaseException:
            on_close()
            raise
        self.offset = self.size  # bytes that an earlier ingest with this ref left

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append; gives the number of bytes, always all of them. Raises NoSpace."""
        self._hasher.update(data)
        with disk_errors():
            write_all(self._fd, data)
        count = memoryview(data).nbytes
        self.size += count
        return count

    def read_at(self, offset: int, size: int) -> bytes:
        """Bytes that were written before, so that a reader can follow the writer; may be called from another thread."""
        return os.pread(self._fd, size, offset)

    def restart(self) -> None:
        """Forget what was written: the source begins again at byte 0."""
        os.ftruncate(self._fd, 0)
        self._rehash()
        self.offset = 0

    def commit(self, expected: Digest | None = None) -> Digest:
        """Publish what was written under its digest. Where it is not `expected`, raises Corrupt and drops the bytes."""
        if self._done:
            raise Internal("an ingest was committed twice")
        found = Digest.from_hasher(self._hasher)
        if expected is not None and expected.algorithm != found.algorithm:
            raise Internal(f"an ingest that hashes with {found.algorithm} was asked for {expected}")
        if expected is not None and expected != found:
            self._keep = False
            raise Corrupt(
                f"the content has digest {found}, not {expected}", expected=expected, found=found, size=self.size
            )
        self._content.leases.hold_new(str(found))
        if self._content.find(found, "layer") is None:  # else the layer's tar serves these bytes
            self._content.publish(found, "blob", [(self._path, self._content.layout.blob(found))], self.size)
        self._path.unlink(missing_ok=True)
        self._done = True
        return found

    def _rehash(self) -> None:
        self._hasher = new_hasher(self._algorithm)
        self.size = 0
        os.lseek(self._fd, 0, os.SEEK_SET)
        while chunk := os.read(self._fd, _CHUNK):
            self._hasher.update(chunk)
            self.size += len(chunk)

    def __enter__(self) -> BlobIngest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)
        if not self._done and (not self._keep or isinstance(error, NoSpace)):
            self._path.unlink(missing_ok=True)
        self._on_close()
