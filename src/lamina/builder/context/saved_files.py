"""The files of contexts that clients send by pieces: kept, so that only what changed has to be sent again.

Each context has one file of bytes, which only grows, and a listing that says where each path's bytes are in it. A
listing counts until the next boot of the machine, so nothing has to be flushed to the disk before it is written. Who
reads keeps the file open, and may go on when it is replaced or deleted.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lamina.api.build_cache import CacheObject
from lamina.formats.digest import DEFAULT, Digest
from lamina.linux.files import private_directory

_MOST_CONTEXTS = 32
_MOST_BYTES = 8 << 30  # of all contexts together
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Row(msgspec.Struct, frozen=True, array_like=True):
    """A file as it was sent: its size, time and mode, where its bytes begin, and its sum for COPY."""

    size: int
    mtime_ns: int
    mode: int
    offset: int
    sum: str


class _Listing(msgspec.Struct):
    boot: str
    inode: int  # of the file of bytes: a listing never speaks of another
    rows: dict[bytes, Row]


@dataclass(slots=True)
class Saved:
    """The files of one context. `fd` is open for reading and for writing behind `end`; its user closes it."""

    fd: int
    end: int
    rows: Mapping[bytes, Row]


class SavedContexts:
    """All contexts below one folder. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._busy: set[str] = set()
        self._guard = threading.Lock()

    @contextmanager
    def use(self, name: str) -> Iterator[Saved | None]:
        """Yield what is saved under a name, for one user at a time: others get None while the block runs."""
        key = Digest.of(name.encode("utf-8", "surrogateescape")).encoded
        with self._guard:
            is_free = key not in self._busy
            self._busy.add(key)
        if not is_free:
            yield None
            return
        try:
            yield self._open(key)
        finally:
            with self._guard:
                self._busy.discard(key)

    def _open(self, key: str) -> Saved:
        private_directory(self._folder)
        data = self._folder / f"{key}.data"
        fd = os.open(data, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        status = os.fstat(fd)
        rows = self._rows(key, status.st_ino)
        if status.st_size <= 2 * sum(row.size for row in rows.values()):
            return Saved(fd, status.st_size, rows)
        os.close(fd)  # more than half of it is of no use
        data.unlink()
        fd = os.open(data, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        return Saved(fd, 0, {})

    def _rows(self, key: str, inode: int) -> dict[bytes, Row]:
        try:
            listing = msgspec.msgpack.decode((self._folder / f"{key}.list").read_bytes(), type=_Listing)
        except (OSError, msgspec.DecodeError):
            return {}
        return listing.rows if (listing.boot, listing.inode) == (_BOOT.read_text(), inode) else {}

    def save(self, name: str, saved: Saved, rows: dict[bytes, Row]) -> None:
        """Remember where the files of a context are. Call it while the context is in use. Delete the oldest ones."""
        key = Digest.of(name.encode("utf-8", "surrogateescape")).encoded
        temporary = self._folder / f"{key}.new"
        temporary.write_bytes(msgspec.msgpack.encode(_Listing(_BOOT.read_text(), os.fstat(saved.fd).st_ino, rows)))
        temporary.replace(self._folder / f"{key}.list")
        with self._guard:  # another build's listings must not go while these are counted
            self._bound()

    def _bound(self) -> None:
        contexts = sorted(self._folder.glob("*.list"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        total = 0
        for number, listing in enumerate(contexts):
            with suppress(FileNotFoundError):
                total += listing.with_suffix(".data").stat().st_size
            if number >= _MOST_CONTEXTS or total > _MOST_BYTES:
                self._drop(listing)

    def _drop(self, listing: Path) -> None:
        for path in (listing, listing.with_suffix(".data")):
            path.unlink(missing_ok=True)

    def objects(self) -> Iterator[CacheObject]:
        """Yield all saved contexts with their bytes."""
        for listing in self._folder.glob("*.list"):
            size = 0
            for path in (listing, listing.with_suffix(".data")):
                with suppress(FileNotFoundError):
                    size += path.stat().st_size
            with suppress(FileNotFoundError):
                yield CacheObject(
                    id=str(Digest(DEFAULT, listing.stem)),
                    type="source.local",
                    description="files of a build context",
                    size=size,
                    used=listing.stat().st_mtime,
                    in_use=listing.stem in self._busy,
                )

    def remove(self, id: Digest) -> bool:
        """Delete a context. Return False for one that is in use, or not there. Its present readers go on."""
        listing = self._folder / f"{id.encoded}.list"
        with self._guard:
            if id.encoded in self._busy or not listing.exists():
                return False
            self._drop(listing)
            return True
