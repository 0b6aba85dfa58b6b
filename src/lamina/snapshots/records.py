"""The directory of each snapshot, and the small document in it that says what the snapshot stands on."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from lamina.errors import Conflict, Corrupt, InvalidInput, NotFound
from lamina.formats.digest import Digest
from lamina.layers.layer import Layer
from lamina.layers.removetree import remove_tree
from lamina.linux.files import syncfs
from lamina.lru import LruCache

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,199}")
_RECORD = "snapshot.json"
NEW = ".new-"
"""How the name of what is not whole yet begins."""
_OLD = ".old-"


class _LayerRecord(msgspec.Struct, frozen=True):
    diff_id: str
    size: int
    tar: str
    index: str


class Record(msgspec.Struct, frozen=True):
    """What is known of a snapshot; paths are relative to the driver's root, so that a data root can be moved."""

    layers: tuple[_LayerRecord, ...]
    writable: bool
    durable: bool
    hidden: int = 0


KEPT = 1024  # records; those that were read last


class Loaded(NamedTuple):
    """A record as the drivers want it."""

    layers: tuple[Layer, ...]
    writable: bool
    durable: bool
    hidden: int
    """How many layers, from the bottom, do not show at all."""


class Records:
    """The snapshots below one directory: made whole under another name first, renamed to be there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._root = os.fspath(root)
        self._unsynced: set[Path] = set()
        self._loaded: LruCache[str, tuple[tuple[int, int], Loaded]] = LruCache(KEPT)
        root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, key: str) -> Path:
        """Return where the snapshot `key` is or would be. Raise InvalidInput for a key that is no plain name."""
        return self.root / _checked(key)

    def inside(self, key: str, name: str) -> str:
        """Return where `name` in the snapshot `key` is, without the cost of a Path. Raise InvalidInput as `path`."""
        return f"{self._root}/{_checked(key)}/{name}"

    def begin(self, key: str) -> Path:
        """Return a new directory in which `key` is made. Raise Conflict when there is one by that name."""
        if self.path(key).exists():
            raise Conflict(f"there is a snapshot called {key} already", key=key)
        return Path(tempfile.mkdtemp(prefix=NEW, dir=self.root))

    def publish(self, key: str, draft: Path, record: Loaded) -> None:
        """Write the document and return the directory its name. Raise Conflict when somebody was faster."""
        rows = tuple(
            _LayerRecord(str(layer.diff_id), layer.size, self._relative(layer.tar), self._relative(layer.index))
            for layer in record.layers
        )
        (draft / _RECORD).write_bytes(msgspec.json.encode(Record(rows, record.writable, record.durable, record.hidden)))
        try:
            draft.rename(self.path(key))
        except OSError as error:
            if self.path(key).exists():
                raise Conflict(f"there is a snapshot called {key} already", key=key) from error
            raise
        if record.durable:
            self._unsynced.add(self.path(key))

    def sync(self, flush: Callable[[Path], None]) -> None:
        """Have `flush` bring the durable snapshots of since the last call to the disk."""
        while self._unsynced:
            path = self._unsynced.pop()
            try:
                flush(path)
            except FileNotFoundError:
                continue  # removed since
            except OSError:
                self._unsynced.add(path)
                raise

    def _relative(self, path: Path) -> str:
        head, tail = os.path.split(path)
        return os.path.join(_relative_directory(head, os.fspath(self.root)), tail)

    def load(self, key: str) -> Loaded:
        """Return what is known of `key`. Raise NotFound, Corrupt."""
        file = self.inside(key, _RECORD)
        try:
            status = os.stat(file)  # a file that is written once: another one by this name is another file
            entry = self._loaded.get(key)
            if entry is not None and entry[0] == (status.st_ino, status.st_mtime_ns):
                return entry[1]
            with open(file, "rb") as opened:
                record = msgspec.json.decode(opened.read(), type=Record)
        except FileNotFoundError as error:
            raise NotFound(f"there is no snapshot called {key}", key=key) from error
        except msgspec.MsgspecError as error:
            raise Corrupt(f"the record of snapshot {key} is damaged: {error}", key=key) from error
        root = self._root
        layers = tuple(
            Layer(
                Digest.parse(row.diff_id),
                row.size,
                Path(os.path.normpath(os.path.join(root, row.tar))),
                Path(os.path.normpath(os.path.join(root, row.index))),
            )
            for row in record.layers
        )
        loaded = Loaded(layers, record.writable, record.durable, record.hidden)
        self._loaded.put(key, ((status.st_ino, status.st_mtime_ns), loaded))
        return loaded

    def delete(self, key: str) -> None:
        """Rename the snapshot away at once, then delete it; after a crash in between `sweep` deletes it."""
        discard(self.path(key))

    def keys(self) -> list[str]:
        """Return the keys of all snapshots, sorted."""
        return sorted(entry.name for entry in os.scandir(self.root) if not entry.name.startswith("."))

    def sweep(self) -> None:
        """Delete what was half made or half deleted."""
        sweep_directory(self.root)


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise InvalidInput(f"{key!r} is no name for a snapshot", key=key)
    return key


@functools.lru_cache(maxsize=256)
def _relative_directory(path: str, root: str) -> str:
    return os.path.relpath(path, root)


def flush_record(path: Path) -> None:
    """Bring a snapshot's document and its name to the disk. Raise FileNotFoundError where it is gone."""
    for each in (path / _RECORD, path, path.parent):
        fd = os.open(each, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def flush_all(path: Path) -> None:
    """Bring all that is on the file system of `path` to the disk. Raise FileNotFoundError where it is gone."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        syncfs(fd)
    finally:
        os.close(fd)


def discard(path: Path) -> None:
    """Rename `path` away at once, then delete it. A path that is not there is ignored."""
    doomed = Path(tempfile.mkdtemp(prefix=_OLD, dir=path.parent))
    with contextlib.suppress(FileNotFoundError):
        path.rename(doomed / "gone")
    delete_tree(doomed)


def sweep_directory(root: Path) -> None:
    """Delete what was half made or half deleted in `root` when a process died."""
    for entry in list(os.scandir(root)):
        if entry.name.startswith((NEW, _OLD)):
            delete_tree(Path(entry.path))


def delete_tree(path: Path) -> None:
    """Delete `path` and all below it, whatever a container has left there. A path that is not there is ignored."""
    with contextlib.suppress(FileNotFoundError):
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remove_tree(parent, path.name)
        finally:
            os.close(parent)
