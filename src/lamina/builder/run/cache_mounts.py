"""The directories of `RUN --mount=type=cache`, which outlive builds until `builder prune` deletes them.

Rule: BuildKit's sharing modes. A step holds a flock(2) on each cache that it uses, so that a prune leaves the cache
alone, and an engine that dies leaves no lock behind.
"""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from lamina.formats.digest import DEFAULT, Digest
from lamina.linux.files import private_directory
from lamina.progress import ignore
from lamina.snapshots.records import NEW, delete_tree, discard, sweep_directory
from lamina.snapshots.unpacked import tree_bytes
from lamina.store.content import Collected

_LOCKS = {"locked": fcntl.LOCK_EX, "private": fcntl.LOCK_EX | fcntl.LOCK_NB}


@dataclass(frozen=True, slots=True)
class CacheMounts:
    """The caches below `root`. Safe to use from several threads and processes."""

    root: Path

    def take(
        self,
        name: str,
        sharing: str,
        owner: tuple[int, int],
        mode: int,
        closing: ExitStack,
        fill: Callable[[Path], None] = ignore,
    ) -> Path | None:
        """Return the cache called `name`, in use until `closing` closes.

        A new one gets the owner and mode, and what `fill` puts into it.

        `locked` waits until no other step uses it. `private` returns None while another step does.
        """
        path = self.root / Digest.of(name.encode("utf-8", "surrogateescape")).encoded
        while True:
            try:
                self._make(path, owner, mode, fill)
                fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # pruned just now
            try:
                fcntl.flock(fd, _LOCKS.get(sharing, fcntl.LOCK_SH))
            except BlockingIOError:
                os.close(fd)
                return None
            if _is_at(fd, path):
                closing.callback(os.close, fd)
                return path
            os.close(fd)

    def _make(self, path: Path, owner: tuple[int, int], mode: int, fill: Callable[[Path], None]) -> None:
        """Make the cache where it is missing. It appears whole: a crash leaves what `prune` sweeps."""
        private_directory(self.root)
        if path.exists():
            return
        draft = Path(tempfile.mkdtemp(prefix=NEW, dir=self.root))
        try:
            fill(draft)
            os.chown(draft, *owner)
            draft.chmod(mode)
            draft.rename(path)
        except BaseException as error:
            delete_tree(draft)
            if not (isinstance(error, OSError) and error.errno in (errno.EEXIST, errno.ENOTEMPTY)):
                raise  # else another step was faster

    def prune(self, reserved: int = 0) -> Collected:
        """Delete the caches that no step uses now, the oldest first, until at most `reserved` bytes are left.

        Return the digests of their names, and the bytes of their files.
        """
        if not self.root.is_dir():
            return Collected()
        sweep_directory(self.root)
        caches = sorted(self.root.iterdir(), key=lambda path: path.lstat().st_mtime_ns)
        left = sum(tree_bytes(path) for path in caches) if reserved else 0
        deleted_sizes: dict[Digest, int] = {}
        for path in caches:
            if reserved and left <= reserved:
                break
            if (size := self._drop(path)) is not None:
                deleted_sizes[Digest(DEFAULT, path.name)] = size
                left -= size
        with suppress(OSError):  # some are in use
            self.root.rmdir()
        return Collected(tuple(deleted_sizes), sum(deleted_sizes.values()))

    def _drop(self, path: Path) -> int | None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            size = tree_bytes(path)
            discard(path)
            return size
        except BlockingIOError:
            return None
        finally:
            os.close(fd)


def _is_at(fd: int, path: Path) -> bool:
    """Return whether the directory behind `fd` is still the one called `path`."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False
