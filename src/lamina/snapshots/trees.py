"""The trees of layers, kept open, and the attributes that overlayfs cannot take from them.

A writable tree must be given the attributes of the image's root by hand, and those of directories that a layer only
implied. They then show as if the layers had been unpacked one over the other.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from lamina.errors import Corrupt
from lamina.layers.entry import Entry
from lamina.layers.index.tree import LayerTree
from lamina.layers.index.xattrs import escape
from lamina.layers.layer import Layer
from lamina.layers.tree import walk
from lamina.layers.union import UnionTree
from lamina.lru import LruCache

_KEPT = 1024


class Trees:
    """Layers' trees, opened and kept where the index is small enough to be in memory as a whole. Thread-safe.

    What is kept holds no file open, so a layer that is deleted meanwhile takes no room on the disk.
    """

    def __init__(self) -> None:
        self._trees: LruCache[Path, LayerTree] = LruCache(_KEPT)

    def of(self, layers: Sequence[Layer]) -> list[LayerTree]:
        """Return the tree of each layer, the bottom one first. Raise Corrupt for missing or damaged ones."""
        return [self._open(layer) for layer in layers]

    def union(self, layers: Sequence[Layer]) -> UnionTree:
        """Return the tree that `layers` amount to."""
        return UnionTree(self.of(layers))

    def _open(self, layer: Layer) -> LayerTree:
        if (tree := self._trees.get(layer.index)) is not None:
            return tree
        try:
            tree = LayerTree.open(layer.index, layer.tar)
        except FileNotFoundError as error:
            raise Corrupt(f"the files of layer {layer.diff_id} are missing", digest=layer.diff_id) from error
        if tree.in_memory:
            self._trees.put(layer.index, tree)
        return tree


def set_attributes(path: Path, entry: Entry) -> None:
    """Give the directory `path` owner, mode, attributes and time of `entry`, as overlayfs keeps them."""
    os.chown(path, entry.uid, entry.gid)
    os.chmod(path, entry.mode)
    for name, value in entry.xattrs.items():
        os.setxattr(path, escape(name), value)
    os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns))


def set_root(path: Path, union: UnionTree) -> None:
    """Give `path`, the upper directory, the attributes of the image's root, where any layer describes that."""
    root = union.lookup("")
    if root is not None and not root.implied:
        set_attributes(path, root.entry)
    else:
        path.chmod(0o755)


def borrowed_directories(trees: Sequence[LayerTree], union: UnionTree) -> list[str]:
    """Return the directories that take their attributes from a layer further down, parents before children."""
    directories: set[str] = set()
    for tree in trees[1:]:
        if tree.has_implied:
            paths = (node.entry.path for node in walk(tree) if node.implied)
            directories.update(path for path in paths if path and union.borrows(path))
    for path in list(directories):
        while path := path.rpartition("/")[0]:
            directories.add(path)
    return sorted(directories)


def make_directories(root: Path, paths: Iterable[str], union: UnionTree) -> None:
    """Make `paths` below `root` with the attributes they have in `union`: a layer to go on top of the others."""
    entries = [node.entry for path in paths if (node := union.lookup(path)) is not None]
    for entry in entries:
        (root / entry.path).mkdir()
    for entry in reversed(entries):
        set_attributes(root / entry.path, entry)
