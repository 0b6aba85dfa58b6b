"""What a writable tree must be given by hand: the attributes of the image's root, and of directories that a layer only
implied, so that they show as if the layers had been unpacked one over the other."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from lamina.layers.entry import Entry
from lamina.layers.index.tree import LayerTree
from lamina.layers.index.xattrs import escape
from lamina.layers.tree import walk
from lamina.layers.union import UnionTree


def set_attributes(path: Path, entry: Entry) -> None:
    """Gives the directory `path` owner, mode, attributes and time of `entry`, as overlayfs keeps them."""
    os.chown(path, entry.uid, entry.gid)
    os.chmod(path, entry.mode)
    for name, value in entry.xattrs.items():
        os.setxattr(path, escape(name), value)
    os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns))


def set_root(path: Path, union: UnionTree) -> None:
    """Gives `path`, the upper directory, the attributes of the image's root, where any layer describes that."""
    root = union.lookup("")
    if root is not None and not root.implied:
        set_attributes(path, root.entry)
    else:
        path.chmod(0o755)


def borrowed_directories(trees: Sequence[LayerTree], union: UnionTree) -> list[str]:
    """The directories whose attributes must come from a layer below the one that shows: parents before children."""
    found: set[str] = set()
    for tree in trees[1:]:
        if tree.has_implied:
            paths = (node.entry.path for node in walk(tree) if node.implied)
            found.update(path for path in paths if path and union.borrows(path))
    for path in list(found):
        while path := path.rpartition("/")[0]:
            found.add(path)
    return sorted(found)


def make_directories(root: Path, paths: Iterable[str], union: UnionTree) -> None:
    """Makes `paths` below `root` with the attributes they have in `union`: a layer to go on top of the others."""
    entries = [node.entry for path in paths if (node := union.lookup(path)) is not None]
    for entry in entries:
        (root / entry.path).mkdir()
    for entry in reversed(entries):
        set_attributes(root / entry.path, entry)
