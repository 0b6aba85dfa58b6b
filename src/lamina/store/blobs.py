"""Blobs: configs, manifests, and compressed layers as long as the cache has room for them.

A layer's tar counts as a blob too (its diff-id is its digest), so bytes are kept once.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from lamina.errors import Conflict, Corrupt, Internal, NoSpace, NotFound, TooLarge
from lamina.formats.digest import DEFAULT, Digest, new_hasher
from lamina.linux.writing import write_all
from lamina.progress import ignore
from lamina.store.content import ContentTable, Row, over_cap
from lamina.store.database import disk_errors
from lamina.store.layout import PARTIAL_PREFIX

_DOCUMENT_LIMIT = 4 << 20  # bytes; what the distribution spec asks a registry to take as a manifest
_CHUNK = 1 << 20


class BlobStore:
    """Bytes by digest. Thread-safe."""

    def __init__(self, content: ContentTable, cache_bytes: int) -> None:
        self._content = content
        self._cache_bytes = cache_bytes
        self._open_partials: set[str] = set()
        self._lock = threading.Lock()

    def has(self, digest: Digest) -> bool:
        """Return whether the bytes of `digest` are here, as a blob or as a layer's tar."""
        return self._locate(digest) is not None

    def path(self, digest: Digest) -> Path:
        """Return the file that holds the bytes; never write to it. Raise NotFound."""
        return self._found(digest)[0]

    def size(self, digest: Digest) -> int:
        """Return the length in bytes. Raise NotFound."""
        return self._found(digest)[1]

    def open(self, digest: Digest) -> BinaryIO:
        """Return the bytes, unverified (they were when they came in); they stay readable if the blob is collected."""
        try:
            return self.path(digest).open("rb")
        except FileNotFoundError as error:
            raise _missing(digest) from error

    def read(self, digest: Digest, limit: int = _DOCUMENT_LIMIT) -> bytes:
        """Return the verified bytes. Raise NotFound, TooLarge above `limit` bytes, Corrupt where the digest differs."""
        with self.open(digest) as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise TooLarge(f"blob {digest} is larger than {limit} bytes", digest=digest, limit=limit)
        if not digest.matches(data):
            actual = Digest.of(data, digest.algorithm)
            raise Corrupt(f"blob {digest} is damaged: its bytes have digest {actual}", expected=digest, found=actual)
        return data

    def put(self, data: bytes, algorithm: str = DEFAULT) -> Digest:
        """Keep a small document; a second time is free. Hold a lease until something links to it."""
        digest = Digest.of(data, algorithm)
        self._content.leases.hold_new(str(digest))
        if self._content.find(digest, "blob") is not None:
            return digest
        with self.ingest(algorithm=algorithm) as ingest:
            ingest.write(data)
            return ingest.commit(digest)

    def ingest(self, ref: str | None = None, algorithm: str = DEFAULT) -> BlobIngest:
        """Begin a blob of unknown digest; a context manager. With `ref`, what was written is kept and continued.

        Raise Conflict when an ingest with this `ref` is open already.
        """
        if ref is None:
            return BlobIngest(self._content, self._content.layout.temporary(), algorithm, ignore, keep=False)
        with self._lock:
            if ref in self._open_partials:
                raise Conflict(f"the ingest {ref} is open already", ref=ref)
            self._open_partials.add(ref)
        path = self._content.layout.partial(ref)
        return BlobIngest(self._content, path, algorithm, lambda: self._release(ref), keep=True)

    def cache(self, digest: Digest, layer: Digest) -> None:
        """Keep this blob, a compressed form of `layer`, as long as the layer is there and the cache has room.

        Where the layer is gone already, nothing keeps the blob.
        """
        query = """INSERT OR REPLACE INTO cached SELECT ?, digest, ? FROM content WHERE digest = ? AND kind = 'layer'"""

        def change(connection: sqlite3.Connection, leased: set[str]) -> list[Row]:
            connection.execute(query, (str(digest), time.time_ns(), str(layer)))
            return over_cap(connection, self._cache_bytes, leased)

        self._content.commit(change)

    def cached_forms(self, layer: Digest) -> tuple[Digest, ...]:
        """Return the compressed forms of `layer` that the cache holds, newest use first."""
        query = "SELECT digest FROM cached WHERE layer = ? ORDER BY used DESC"
        with self._content.database.read() as connection:
            return tuple(Digest.parse(row[0]) for row in connection.execute(query, (str(layer),)))

    def drop_partials(self) -> None:
        """Delete what interrupted resumable ingests left; those that are open stay."""
        with self._lock:  # so that none is opened meanwhile
            in_use = {self._content.layout.partial(ref) for ref in self._open_partials}
            for path in self._content.layout.ingest.iterdir():
                if path.name.startswith(PARTIAL_PREFIX) and path not in in_use:
                    path.unlink(missing_ok=True)

    def _release(self, ref: str) -> None:
        with self._lock:
            self._open_partials.discard(ref)

    def _locate(self, digest: Digest) -> tuple[Path, int] | None:
        if row := self._content.find(digest, "layer"):
            return self._content.layout.tar(digest), row.size
        if row := self._content.find(digest, "blob"):
            return self._content.layout.blob(digest), row.size
        return None

    def _found(self, digest: Digest) -> tuple[Path, int]:
        located = self._locate(digest)
        if located is None:
            raise _missing(digest)
        return located


def _missing(digest: Digest) -> NotFound:
    return NotFound(f"blob {digest} is not in the store", digest=digest)


class BlobIngest:
    """A blob being written. Leaving the block without `commit` drops it, or keeps it for later if it has a `ref`.

    On a full disk it is always dropped.
    """

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
        """Append. Return the number of bytes, always all of them. Raise NoSpace."""
        self._hasher.update(data)
        with disk_errors():
            write_all(self._fd, data)
        count = memoryview(data).nbytes
        self.size += count
        return count

    def read_at(self, offset: int, size: int) -> bytes:
        """Return bytes that were written before, so that a reader can follow the writer; may be called from another
        thread."""
        return os.pread(self._fd, size, offset)

    def restart(self) -> None:
        """Forget what was written: the source begins again at byte 0."""
        os.ftruncate(self._fd, 0)
        self._rehash()
        self.offset = 0

    def commit(self, expected: Digest | None = None) -> Digest:
        """Publish what was written under its digest. Where it is not `expected`, drop it and raise Corrupt."""
        if self._done:
            raise Internal("an ingest was committed twice")
        digest = Digest.from_hasher(self._hasher)
        if expected is not None and expected.algorithm != digest.algorithm:
            raise Internal(f"an ingest that hashes with {digest.algorithm} was asked for {expected}")
        if expected is not None and expected != digest:
            self._keep = False
            raise Corrupt(
                f"the content has digest {digest}, not {expected}", expected=expected, found=digest, size=self.size
            )
        self._content.leases.hold_new(str(digest))
        if self._content.find(digest, "layer") is None:  # else the layer's tar serves these bytes
            self._content.publish(digest, "blob", [(self._path, self._content.layout.blob(digest))], self.size)
        self._path.unlink(missing_ok=True)
        self._done = True
        return digest

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
