"""Blocking file work of the local storage, run in threads where it takes long."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lamina.errors import NoSpace
from lamina.formats.digest import new_hasher

if TYPE_CHECKING:
    from hashlib import _Hash

_CHUNK = 1 << 20
_FULL = frozenset({28, 122})  # ENOSPC, EDQUOT


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turn a full disk into NoSpace."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise NoSpace("The registry's disk is full") from error
        raise


def open_file(path: Path, flags: int) -> int:
    """A file descriptor that no child inherits. Raises NoSpace, FileNotFoundError."""
    with disk_errors():
        return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)


def write_at(fd: int, hasher: _Hash | None, pieces: Sequence[bytes], offset: int) -> None:
    """Write and hash `pieces` behind each other from `offset` on."""
    data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if hasher is not None:
        hasher.update(data)
    view = memoryview(data)
    with disk_errors():
        while view:
            written = os.pwrite(fd, view, offset)
            offset += written
            view = view[written:]


def hash_file(fd: int, algorithm: str) -> _Hash:
    """The hash of all bytes of an open file."""
    hasher = new_hasher(algorithm)
    offset = 0
    while piece := os.pread(fd, _CHUNK, offset):
        hasher.update(piece)
        offset += len(piece)
    return hasher


def flush(fd: int) -> None:
    """Bring what was written so far to the disk."""
    with disk_errors():
        os.fdatasync(fd)


def settle(fd: int, source: Path, target: Path) -> None:
    """Rename `source`, open as `fd`, to `target`, and flush it; the flush takes the rename with it to the journal."""
    with disk_errors():
        try:
            source.rename(target)
        except FileNotFoundError:
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
        os.fsync(fd)


def remove_older(folder: Path, before: float) -> int:
    """Remove the files of `folder` that were not written to since `before`; gives how many."""
    removed = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                if entry.stat(follow_symlinks=False).st_mtime < before:
                    os.unlink(entry.path)
                    removed += 1
            except FileNotFoundError:
                continue
    return removed


def unknown_files(folder: Path, known: set[str], before: float) -> list[str]:
    """Files below `folder`, relative to it, that are not `known` and did not change since `before`."""
    found = []
    for directory, _, names in os.walk(folder):
        for name in names:
            path = Path(directory, name)
            location = str(path.relative_to(folder))
            try:
                if location not in known and path.stat().st_ctime < before:
                    found.append(location)
            except FileNotFoundError:
                continue
    return found
