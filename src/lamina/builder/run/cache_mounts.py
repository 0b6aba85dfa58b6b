"""The directories of `RUN --mount=type=cache`, which outlive builds until somebody removes them.

Rule: BuildKit's sharing modes. A step holds a flock(2) on each cache that it uses, so that a prune leaves the cache
alone, and an engine that dies leaves no lock behind.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lamina.api.build_cache import CacheObject
from lamina.errors import Conflict, InvalidInput, NotFound
from lamina.formats.digest import DEFAULT, Digest
from lamina.layers.capture import Capture
from lamina.layers.decompress import decompressed
from lamina.layers.disk_walk import Directories, walk
from lamina.layers.entry import Entry, EntryType
from lamina.layers.tar.source import Readable
from lamina.layers.tar.writer import TarWriter, Writable
from lamina.layers.unpack import Style, unpack
from lamina.linux.files import private_directory
from lamina.progress import ignore
from lamina.snapshots.records import NEW, delete_tree, discard, sweep_directory

_PREFIX = re.compile("[0-9a-f]{6,64}")  # of an ID
_LONGEST_NAME = 4096  # bytes
_LATER = "Try again when the build has ended."
_BLOCK = 512  # bytes, see stat(2)
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
        path = self._path(name)
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
                self._note_use(path, name)
                return path
            os.close(fd)

    def _make(self, path: Path, owner: tuple[int, int], mode: int, fill: Callable[[Path], None]) -> None:
        """Make the cache where it is missing. It appears whole: a crash leaves what `sweep` deletes."""
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

    def _note_use(self, path: Path, name: str) -> None:
        """Remember the name of a cache, and when it was used last: the time of the file that holds its name."""
        while True:
            private_directory(self._names)
            with suppress(FileNotFoundError):  # a prune took the folder just now
                (self._names / path.name).write_bytes(name.encode("utf-8", "surrogateescape"))
                return

    @property
    def _names(self) -> Path:
        return self.root.with_name(f"{self.root.name}-names")

    def objects(self) -> Iterator[CacheObject]:
        """Yield all caches with their names, their bytes, and whether a step uses them now."""
        with suppress(FileNotFoundError):
            for path in list(self.root.iterdir()):
                if not path.name.startswith("."):
                    yield self._object(path)

    def _object(self, path: Path) -> CacheObject:
        named = self._names / path.name
        try:
            name, used = named.read_bytes().decode("utf-8", "replace"), named.stat().st_mtime
        except FileNotFoundError:  # an older lamina made it
            name, used = "", 0.0
        with self._alone(path) as is_alone:
            return CacheObject(
                id=str(Digest(DEFAULT, path.name)),
                type="exec.cachemount",
                description=name,
                size=disk_bytes(path),
                used=used,
                in_use=not is_alone,
            )

    def remove(self, id: Digest) -> bool:
        """Delete a cache. Return False when a step uses it, or when it is not there."""
        path = self.root / id.encoded
        with self._alone(path) as is_alone:
            if not is_alone or not path.exists():
                return False
            discard(path)
        (self._names / path.name).unlink(missing_ok=True)
        for folder in (self.root, self._names):
            with suppress(OSError):  # there are others
                folder.rmdir()
        return True

    def find(self, name: str) -> Digest:
        """Return the ID of a cache by its name, its ID, or the first digits of its ID. Raise NotFound, Conflict."""
        objects = list(self.objects())
        ids = [each.id for each in objects if name in (each.description, each.id)]
        if not ids and _PREFIX.fullmatch(name):
            ids = [each.id for each in objects if each.id.removeprefix("sha256:").startswith(name)]
        if len(ids) > 1:
            raise Conflict(f"{len(ids)} cache mounts have IDs that begin with {name}", advice="Write more digits.")
        if not ids:
            raise NotFound(f"there is no cache mount {name}", advice="See `lamina builder cache ls`.")
        return Digest.parse(ids[0])

    def write_to(self, id: Digest, sink: Writable) -> None:
        """Write the files of a cache as a tar, with the folder itself. Raise NotFound, Conflict for one that is locked.

        Steps that share it may go on: what they swap meanwhile is left out.
        """
        try:
            fd = os.open(self.root / id.encoded, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFound(f"there is no cache mount {id}") from None
        with ExitStack() as closing:
            closing.callback(os.close, fd)
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Conflict(f"a step has locked the cache mount {id.short}", advice=_LATER) from None
            tar, status = TarWriter(sink), os.fstat(fd)
            mode, owner = stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid)
            tar.add(Entry("", EntryType.DIRECTORY, mode, *owner, mtime_ns=int(status.st_mtime) * 10**9))
            capture = Capture(tar, live=True)
            for file in walk(closing.enter_context(Directories(fd))):
                capture.add(file)
            tar.close()

    def read_from(self, name: str, source: Readable) -> CacheObject:
        """Make the files of a tar, compressed or not, those of the cache called `name`, in place of earlier ones.

        Devices and pipes are left out. Raise Conflict while a step uses the cache, InvalidInput for a broken archive,
        TooLarge, NoSpace.
        """
        if not name or "\0" in name or len(os.fsencode(name)) > _LONGEST_NAME:
            raise InvalidInput(f"a cache mount cannot be called {name!r}")
        private_directory(self.root)
        path = self._path(name)
        draft = Path(tempfile.mkdtemp(prefix=NEW, dir=self.root))
        try:
            draft.chmod(0o755)
            root = os.open(draft, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                unpack(decompressed(source), root, Style.PLAIN, change=_without_devices)
            finally:
                os.close(root)
            with self._alone(path) as is_alone:
                if not is_alone:
                    raise Conflict(f"a step uses the cache mount {name}", advice=_LATER)
                discard(path)
                draft.rename(path)
        except BaseException:
            delete_tree(draft)
            raise
        self._note_use(path, name)
        return self._object(path)

    def _path(self, name: str) -> Path:
        return self.root / Digest.of(name.encode("utf-8", "surrogateescape")).encoded

    def sweep(self) -> None:
        """Delete what was half made or half deleted when a process died. For the start, before any build."""
        with suppress(FileNotFoundError):
            sweep_directory(self.root)

    @contextmanager
    def _alone(self, path: Path) -> Iterator[bool]:
        """Keep steps away from a cache while the block runs. Yield False when one uses it already."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            yield True
            return
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield True
        except BlockingIOError:
            yield False
        finally:
            os.close(fd)


def disk_bytes(root: Path) -> int:
    """Return the bytes that the files and directories below `root` take on the disk, each counted once."""
    counted: set[tuple[int, int]] = set()
    total, pending = 0, [os.fspath(root)]
    while pending:
        folder = pending.pop()
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    if (status.st_dev, status.st_ino) not in counted:
                        counted.add((status.st_dev, status.st_ino))
                        total += status.st_blocks * _BLOCK
                    if stat.S_ISDIR(status.st_mode):
                        pending.append(entry.path)
    return total


def _without_devices(entry: Entry) -> Entry | None:
    return None if entry.type.is_device or entry.type is EntryType.FIFO else entry


def _is_at(fd: int, path: Path) -> bool:
    """Return whether the directory behind `fd` is still the one called `path`."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False
