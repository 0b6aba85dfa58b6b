"""Where files lie under a data root, and the lock that gives the root to one engine."""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from lamina.errors import Conflict
from lamina.formats.digest import LENGTHS, Digest
from lamina.linux.files import private_directory

PARTIAL_PREFIX = "partial-"
_held: set[Path] = set()  # POSIX locks do not keep a process from itself
_guard = threading.Lock()


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths below one data root: `blobs/ALGORITHM/HEX`, `layers/ALGORITHM/HEX.{tar,erofs}`, `ingest/…`."""

    root: Path

    @property
    def lock(self) -> Path:
        """Return the file that the process which owns the root locks."""
        return self.root / "lock"

    @property
    def database(self) -> Path:
        """Return the metadata (SQLite)."""
        return self.root / "metadata.db"

    @property
    def reserve(self) -> Path:
        """Return the file that holds back space for removals on a full disk."""
        return self.root / "reserve"

    @property
    def ingest(self) -> Path:
        """Return the folder of unfinished work. A start sweeps all of it but resumable partials."""
        return self.root / "ingest"

    def content_directories(self) -> list[Path]:
        """Return every directory that holds finished content."""
        return [self.root / kind / algorithm for kind in ("blobs", "layers") for algorithm in LENGTHS]

    def blob(self, digest: Digest) -> Path:
        """Return the file of a blob."""
        return Path(f"{self.root}/blobs/{digest.algorithm}/{digest.encoded}")

    def tar(self, diff_id: Digest) -> Path:
        """Return the tar of a layer."""
        return Path(f"{self.root}/layers/{diff_id.algorithm}/{diff_id.encoded}.tar")

    def index(self, diff_id: Digest) -> Path:
        """Return the index of a layer, beside its tar."""
        return Path(f"{self.root}/layers/{diff_id.algorithm}/{diff_id.encoded}.erofs")

    def files(self, digest: Digest, kind: str) -> tuple[Path, ...]:
        """Return the files of one row of content."""
        return (self.blob(digest),) if kind == "blob" else (self.tar(digest), self.index(digest))

    def temporary(self, suffix: str = "") -> Path:
        """Return a fresh name for unfinished work."""
        return self.ingest / f"{os.getpid():x}-{secrets.token_hex(8)}{suffix}"

    def partial(self, ref: str) -> Path:
        """Return the file of a resumable ingest."""
        return self.ingest / f"{PARTIAL_PREFIX}{sha256(ref.encode()).hexdigest()}"

    def make(self) -> None:
        """Create the directories, private to the owner: layers hold other people's set-uid files."""
        content = self.content_directories()
        for directory in [self.root, self.ingest, *(each.parent for each in content), *content]:
            private_directory(directory)


class RootLock:
    """An exclusive lock on a file, released by `release`, or by the kernel when the process dies.

    A POSIX record lock, because a child that was forked without exec must not keep it (a `flock` would pass to it).
    Raises Conflict, with the holder's process id in `facts["pid"]` where known.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        with _guard:
            if self._path in _held:
                raise _conflict(path, os.getpid())
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                text = os.pread(self._fd, 32, 0).decode(errors="replace").strip()
                os.close(self._fd)
                raise _conflict(path, int(text) if text.isdigit() else None) from error
            _held.add(self._path)
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give the lock up. May be called twice."""
        with _guard:
            if self._path in _held and self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
                _held.discard(self._path)


def _conflict(path: Path, pid: int | None) -> Conflict:
    holder = f"process {pid}" if pid else "another process"
    return Conflict(
        f"the data root {path.parent} is in use by {holder}",
        advice="Talk to that engine, or use another data root",
        pid=pid,
    )
