"""What has changed in a directory against the tree below it, as `docker diff` tells it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from lamina.layers.capture import read_xattrs
from lamina.layers.entry import EntryType
from lamina.layers.tree import Node, Tree
from lamina.layers.walk import Directories, Found, walk
from lamina.layers.whiteouts import is_whiteout

OPAQUE_MARKS = ("trusted.overlay.opaque", "user.overlay.opaque")
_FORMATS = {
    EntryType.REGULAR: stat.S_IFREG,
    EntryType.DIRECTORY: stat.S_IFDIR,
    EntryType.SYMLINK: stat.S_IFLNK,
    EntryType.CHAR: stat.S_IFCHR,
    EntryType.BLOCK: stat.S_IFBLK,
    EntryType.FIFO: stat.S_IFIFO,
}


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a diff: "A" added, "C" changed, "D" deleted."""

    kind: Literal["A", "C", "D"]
    path: str
    """As in Entry: without a leading "/"."""


def upper_changes(upper: int, lower: Tree) -> Iterator[Change]:
    """The changes that the overlay upper directory `upper` (a descriptor) makes to `lower`, parents first, sorted.

    Docker's rules: what `lower` does not have is added, the rest is changed, but for directories that were only copied
    up on the way to something else (same mode, same time). What is added or deleted makes its directory changed.
    Sockets count here, although no layer holds them. A directory that was deleted and made again is changed, what it
    lost is deleted.
    """
    told: set[str] = set()
    with Directories(upper) as directories:
        for found in walk(directories):
            for change in _upper_change(found, lower):
                if change.kind != "C" and (parent := _parent(change.path)) and parent not in told:
                    told.add(parent)
                    yield Change("C", parent)
                if found.is_directory:
                    told.add(change.path)
                yield change


def _upper_change(found: Found, lower: Tree) -> Iterator[Change]:
    if is_whiteout(found.status):
        yield Change("D", found.path)
        return
    below = lower.lookup(found.path)
    if below is None:
        yield Change("A", found.path)
        return
    opaque = found.is_directory and below.is_directory and is_opaque(found)
    if opaque or not (found.is_directory and below.is_directory and _same_directory(found.status, below)):
        yield Change("C", found.path)
    if opaque:
        for child in lower.children(found.path):
            if not _exists(found, child.name):
                yield Change("D", child.entry.path)


def _exists(directory: Found, name: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{directory.parent}/{directory.name}/{name}")


def is_opaque(found: Found) -> bool:
    """Whether a directory of an upper hides what the layers below have in it (overlayfs.rst)."""
    path = f"/proc/self/fd/{found.parent}/{found.name}"
    return any(name in OPAQUE_MARKS and value == b"y" for name, value in read_xattrs(path).items())


def _same_directory(status: os.stat_result, below: Node) -> bool:
    if stat.S_IMODE(status.st_mode) != below.entry.mode:
        return False
    return below.implied or status.st_mtime_ns == below.entry.mtime_ns


def tree_changes(root: int, lower: Tree) -> Iterator[Change]:
    """The changes that lead from `lower` to the directory `root` (a descriptor), parents first, sorted.

    Files are the same when type, mode, owner, device, link text and attributes are, and for files that are no
    directories size and time: contents are not read. A directory in which something changed is changed too.
    """
    with Directories(root) as directories:
        pending: list[str] = []
        for change in _compared(directories, lower):
            while pending and not change.path.startswith(pending[-1] + "/"):
                pending.pop()
            if isinstance(change, _Unchanged):
                pending.append(change.path)
                continue
            yield from (Change("C", path) for path in pending)
            pending.clear()
            yield change


@dataclass(frozen=True, slots=True)
class _Unchanged:
    """A directory that is the same itself; what comes below it will tell whether it counts."""

    path: str


def _compared(directories: Directories, lower: Tree) -> Iterator[Change | _Unchanged]:
    todo: list[tuple[str, Node | None]] = _level(directories, "", lower)
    while todo:
        path, below = todo.pop()
        found = directories.find(path)
        if found is None or stat.S_ISSOCK(found.status.st_mode):
            if below is not None:
                yield Change("D", path)
            continue
        if below is None:
            yield Change("A", path)
        elif not _same(found, below):
            yield Change("C", path)
        elif found.is_directory:
            yield _Unchanged(path)
        if found.is_directory:
            todo.extend(_level(directories, path, lower if below is not None and below.is_directory else None))


def _level(directories: Directories, path: str, lower: Tree | None) -> list[tuple[str, Node | None]]:
    """What is in a directory, above or below, the last first."""
    level: dict[str, Node | None] = dict.fromkeys(directories.names(path))
    if lower is not None:
        level.update((node.name, node) for node in lower.children(path))
    prefix = path + "/" if path else ""
    return [(prefix + name, level[name]) for name in sorted(level, key=os.fsencode, reverse=True)]


def _same(found: Found, below: Node) -> bool:
    status, entry = found.status, below.entry
    if status.st_mode != _FORMATS[entry.type] | entry.mode:
        return False
    if (status.st_uid, status.st_gid) != (entry.uid, entry.gid):
        return False
    if not found.is_directory and status.st_mtime_ns != entry.mtime_ns:
        return False
    if entry.type is EntryType.REGULAR and status.st_size != entry.size:
        return False
    if entry.type in (EntryType.CHAR, EntryType.BLOCK) and status.st_rdev != os.makedev(entry.major, entry.minor):
        return False
    if entry.type is EntryType.SYMLINK and os.readlink(found.name, dir_fd=found.parent) != entry.target:
        return False
    return read_xattrs(f"/proc/self/fd/{found.parent}/{found.name}") == dict(entry.xattrs)


def _parent(path: str) -> str:
    return path.rpartition("/")[0]
