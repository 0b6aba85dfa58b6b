"""The files of an image as a tree of the builder: read from layer indexes, without a mount or a privilege."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from lamina.builder.tree import Data, EmptyTree, Node, Tree
from lamina.errors import Internal
from lamina.formats.digest import Digest
from lamina.layers.entry import EntryType
from lamina.layers.index.tree import LayerTree
from lamina.layers.layer import Layer
from lamina.layers.tree import Node as LayerNode
from lamina.layers.union import UnionTree


class ImageTree:
    """A stack of layers, bottom first. Holds nothing that has to be closed beyond what the collector frees."""

    def __init__(self, layers: Sequence[Layer], opened: ImageTree | None = None) -> None:
        """`opened` may be the tree of an image below this one: its layers are not opened again."""
        known: dict[Digest, LayerTree] = opened.trees if opened else {}
        self.trees: dict[Digest, LayerTree] = {
            layer.diff_id: known.get(layer.diff_id) or _open(layer) for layer in layers
        }
        self._count = len(layers)
        self._union = UnionTree([self.trees[layer.diff_id] for layer in layers])

    def lookup(self, path: str) -> Node | None:
        found = self._union.lookup(path)
        return None if found is None else _wrapped(found)

    def children(self, path: str) -> Iterator[Node]:
        return map(_wrapped, self._union.children(path))

    def open(self, node: Node) -> Data:
        return self._union.read(_inner(node))

    def origin(self, node: Node) -> tuple[int, int]:
        """Which layer a file is from, and its number there: equal in all images that share the layers below."""
        inner = _inner(node)
        return inner.source, inner.ino // self._count


def tree_of(layers: Sequence[Layer], opened: Tree | None = None) -> Tree:
    """The files that `layers` make together, bottom first; none for no layers. `opened` as for ImageTree."""
    return ImageTree(layers, opened if isinstance(opened, ImageTree) else None) if layers else EmptyTree()


def _open(layer: Layer) -> LayerTree:
    return LayerTree.open(layer.index, layer.tar)


def _inner(node: Node) -> LayerNode:
    if not isinstance(node.inner, LayerNode):
        raise Internal(f"{node.path!r} is not a file of an image")
    return node.inner


def _wrapped(found: LayerNode) -> Node:
    entry = found.entry
    if entry.sparse is not None:  # what `open` gives has its holes filled
        entry = replace(entry, sparse=None)
    several = found.nlink > 1 and entry.type is not EntryType.DIRECTORY
    return Node(entry, (found.source, found.ino) if several else None, None, found)
