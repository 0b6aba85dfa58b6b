"""The trees of layers, kept at hand: deep stacks are opened often, and most of their layers are small."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lamina.errors import Corrupt
from lamina.layers.index.tree import LayerTree
from lamina.layers.layer import Layer
from lamina.layers.union import UnionTree
from lamina.lru import LruCache

_KEPT = 1024


class Trees:
    """Opens layers, and keeps those whose index is small enough to be in memory as a whole. Thread-safe.

    What is kept holds no file open, so a layer that is deleted meanwhile takes no room on the disk.
    """

    def __init__(self) -> None:
        self._trees: LruCache[Path, LayerTree] = LruCache(_KEPT)

    def of(self, layers: Sequence[Layer]) -> list[LayerTree]:
        """The tree of each layer, the bottom one first. Raises Corrupt for missing or damaged ones."""
        return [self._open(layer) for layer in layers]

    def union(self, layers: Sequence[Layer]) -> UnionTree:
        """The tree that `layers` amount to."""
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
