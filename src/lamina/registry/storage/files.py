"""Blocking file work of the local storage, run in threads where it takes long."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lamina.formats.digest import new_hasher
from lamina.linux.writing import full_disk_as_no_space

if TYPE_CHECKING:
    from hashlib import _Hash

_CHUNK = 1 << 20
_MOST_PIECES = 1024  # IOV_MAX
_FULL = "The registry's disk is full"


def open_file(path: Path, flags: int) -> int:
    """Return a file descriptor that no child inherits. Raise NoSpace, FileNotFoundError."""
    with full_disk_as_no_space(_FULL, advice=None):
        return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def write_at(fd: int, pieces: Sequence[bytes | memoryview], offset: int) -> int:
    """Write `pieces` behind each other from `offset` on, and return the offset behind them."""
    for start in range(0, len(pieces), _MOST_PIECES):
        views = [memoryview(piece) for piece in pieces[start : start + _MOST_PIECES]]
        with full_disk_as_no_space(_FULL, advice=None):
            while views:
                written = os.pwritev(fd, views, offset)
                offset += written
                views = _behind(views, written)
    return offset


def write_block(fd: int, block: memoryview, offset: int) -> None:
    """Write a page-aligned block at a multiple of its size, past the page cache where the file system can.

    That saves the copy, and cache for content that clients seldom read at once (open(2), O_DIRECT).
    """
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    written = 0
    try:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_DIRECT)
        with full_disk_as_no_space(_FULL, advice=None):
            written = os.pwrite(fd, block, offset)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags)
    if written < len(block):
        write_at(fd, [block[written:]], offset + written)


def _behind(views: list[memoryview], written: int) -> list[memoryview]:
    """Return what is left of `views` after so many bytes."""
    for number, view in enumerate(views):
        if written < len(view):
            return [view[written:], *views[number + 1 :]]
        written -= len(view)
    return []


def hash_file(fd: int, algorithm: str) -> _Hash:
    """Return the hash of all bytes of an open file."""
    hasher = new_hasher(algorithm)
    offset = 0
    while piece := os.pread(fd, _CHUNK, offset):
        hasher.update(piece)
        offset += len(piece)
    return hasher


def settle(fd: int, source: Path, target: Path) -> None:
    """Rename `source`, open as `fd`, to `target`, and flush it; the flush takes the rename with it to the journal."""
    with full_disk_as_no_space(_FULL, advice=None):
        try:
            source.rename(target)
        except FileNotFoundError:
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
        os.fsync(fd)


def remove_older(folder: Path, before: float) -> int:
    """Remove the files of `folder` that were not written to since `before`, and return how many."""
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


def unknown_files(folder: Path, referred: set[str], before: float) -> list[str]:
    """Return files below `folder`, relative to it, that are not `referred` and did not change since `before`."""
    unreferred = []
    for directory, _, names in os.walk(folder):
        for name in names:
            path = Path(directory, name)
            location = str(path.relative_to(folder))
            try:
                if location not in referred and path.stat().st_ctime < before:
                    unreferred.append(location)
            except FileNotFoundError:
                continue
    return unreferred
