"""From what a container or a step left on disk to a layer or a list of changes: the same files give the same bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from lamina.layers.capture import Capture, own_xattrs, read_xattrs
from lamina.layers.disk_walk import Directories, WalkedFile, walk
from lamina.layers.entry import FORMATS, EntryType
from lamina.layers.layer_writer import LayerBuilder
from lamina.layers.tree import Node, Tree
from lamina.layers.whiteouts import is_whiteout


def write_upper_diff(
    upper: int, builder: LayerBuilder, lower: Tree | None = None, *, latest_ns: int | None = None
) -> None:
    """Add the files of the overlay upper directory `upper` (a descriptor) to `builder`, sorted, without the root.

    Whiteouts and opaque directories become their `.wh.` names. Overlayfs also marks new directories opaque that hide
    nothing: with `lower`, the tree the upper stands on, only those that do are written so. Attributes of overlayfs
    are left out, sockets too. Times are cut to seconds, those later than `latest_ns` become it. The caller calls
    `builder.finish`. Raise Unsupported when the upper was written with redirect_dir or metacopy, and what
    LayerBuilder.add does.
    """
    capture = Capture(builder, latest_ns=latest_ns, overlay=True)
    with Directories(upper) as directories:
        for file in walk(directories):
            if is_whiteout(file.status):
                builder.whiteout(file.path)
            elif not capture.add(file):
                _hide(builder, lower, file.path)
            elif _hides_something(file, lower):
                builder.opaque(file.path)


def _hide(builder: LayerBuilder, lower: Tree | None, path: str) -> None:
    """Add a whiteout for a socket that hides a file. No layer can hold the socket itself."""
    if lower is not None and lower.lookup(path) is not None:
        builder.whiteout(path)


def _hides_something(directory: WalkedFile, lower: Tree | None) -> bool:
    if not directory.is_directory or not is_opaque(directory):
        return False
    below = None if lower is None else lower.lookup(directory.path)
    return lower is None or (below is not None and below.is_directory)


def write_tree_diff(root: int, lower: Tree, builder: LayerBuilder, *, latest_ns: int | None = None) -> None:
    """Add what leads from `lower` to the directory `root` (a descriptor) to `builder`, sorted, as `tree_changes` says.

    Names of one file are hard links only where all of them changed. Times are cut to seconds, those later than
    `latest_ns` become it. The caller calls `builder.finish`. Raise what LayerBuilder.add does.
    """
    capture = Capture(builder, latest_ns=latest_ns)
    with Directories(root) as directories:
        for change in tree_changes(root, lower):
            if change.kind == "D":
                builder.whiteout(change.path)
            elif (file := directories.find(change.path)) is not None and not capture.add(file):
                _hide(builder, lower, file.path)


OPAQUE_MARKS = ("trusted.overlay.opaque", "user.overlay.opaque")


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a diff: "A" added, "C" changed, "D" deleted."""

    kind: Literal["A", "C", "D"]
    path: str
    """As in Entry: without a leading "/"."""


def upper_changes(upper: int, lower: Tree) -> Iterator[Change]:
    """Yield the changes that the overlay upper directory `upper` makes to `lower`, sorted, parents first.

    Docker's rules, those of `tree_changes`: a file that was only copied up, and is as it was, does not count.
    """
    with Directories(upper) as directories:
        yield from _with_parents(_Comparison(directories, lower, overlay=True).run())


def tree_changes(root: int, lower: Tree) -> Iterator[Change]:
    """Yield the changes that lead from `lower` to the directory `root` (a descriptor), parents first, sorted.

    Files are the same when type, mode, owner, device, link text and attributes are, and for files that are no
    directories size and time: contents are not read. A directory in which something changed is changed too. Of a
    directory that is gone, only its own name is told. Sockets count, although no layer holds them.
    """
    with Directories(root) as directories:
        yield from _with_parents(_Comparison(directories, lower, overlay=False).run())


@dataclass(frozen=True, slots=True)
class _Unchanged:
    """A directory that is the same itself. It counts as changed when a file below it is."""

    path: str


def _with_parents(changes: Iterator[Change | _Unchanged]) -> Iterator[Change]:
    pending: list[str] = []
    for change in changes:
        while pending and not change.path.startswith(pending[-1] + "/"):
            pending.pop()
        if isinstance(change, _Unchanged):
            pending.append(change.path)
            continue
        yield from (Change("C", path) for path in pending)
        pending.clear()
        yield change


class _Comparison:
    """Compare a directory with a tree. In an `overlay` upper directory, a missing file is as it is below."""

    def __init__(self, directories: Directories, lower: Tree, *, overlay: bool) -> None:
        self._directories = directories
        self._lower = lower
        self._overlay = overlay

    def run(self) -> Iterator[Change | _Unchanged]:
        todo = self._level("", hidden=not self._overlay)
        while todo:
            path, below = todo.pop()
            file = self._directories.find(path)
            if file is None or (self._overlay and is_whiteout(file.status)):
                if below is not None or file is not None:
                    yield Change("D", path)
                continue
            if below is None:
                yield Change("A", path)
            elif not self._same(file, below):
                yield Change("C", path)
            elif file.is_directory:
                yield _Unchanged(path)
            if file.is_directory:
                merged = below is not None and below.is_directory
                todo.extend(self._level(path, hidden=merged and (not self._overlay or is_opaque(file)), below=merged))

    def _level(self, path: str, *, hidden: bool, below: bool = True) -> list[tuple[str, Node | None]]:
        """Return the names in a directory in reverse order, with those only `below` when the directory is `hidden`."""
        level: dict[str, Node | None] = dict.fromkeys(self._directories.names(path))
        if below:
            children = {node.name: node for node in self._lower.children(path)}
            level.update((name, node) for name, node in children.items() if hidden or name in level)
        prefix = path + "/" if path else ""
        return [(prefix + name, level[name]) for name in sorted(level, key=os.fsencode, reverse=True)]

    def _same(self, file: WalkedFile, below: Node) -> bool:
        if below.implied and file.is_directory:
            return True
        if not _same_status(file, below):
            return False
        xattrs = read_xattrs(f"/proc/self/fd/{file.parent}/{file.name}")
        if self._overlay:
            xattrs = own_xattrs(xattrs)
        return xattrs == dict(below.entry.xattrs)


def is_opaque(directory: WalkedFile) -> bool:
    """Return whether a directory of an upper hides what the layers below have in it (overlayfs.rst)."""
    xattrs = read_xattrs(f"/proc/self/fd/{directory.parent}/{directory.name}")
    return any(xattrs.get(mark) == b"y" for mark in OPAQUE_MARKS)


def _same_status(file: WalkedFile, below: Node) -> bool:
    status, entry = file.status, below.entry
    if status.st_mode != FORMATS[entry.type] | entry.mode:
        return False
    if (status.st_uid, status.st_gid) != (entry.uid, entry.gid):
        return False
    if not file.is_directory and status.st_mtime_ns != entry.mtime_ns:
        return False
    if entry.type is EntryType.REGULAR and status.st_size != entry.size:
        return False
    if entry.type.is_device and status.st_rdev != os.makedev(entry.major, entry.minor):
        return False
    return entry.type is not EntryType.SYMLINK or os.readlink(file.name, dir_fd=file.parent) == entry.target
