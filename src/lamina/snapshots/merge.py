"""One index over many tars: a stack of layers as a single EROFS image, without copying a byte of contents."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from lamina.layers.entry import EntryType
from lamina.layers.index.chunks import FileMap
from lamina.layers.index.format import BLOCK_BITS
from lamina.layers.index.tree import LayerTree
from lamina.layers.index.writer import IndexWriter
from lamina.layers.layer import Layer
from lamina.layers.tree import Node, walk
from lamina.layers.union import UnionTree


def merge_layers(layers: Sequence[Layer], trees: Sequence[LayerTree], index: Path) -> None:
    """Writes to `index` what `layers` (the bottom one first; `trees` are theirs) amount to. Whiteouts are gone.

    To be mounted over `merged_devices(layers)`. The file is neither synced nor renamed. Raises what IndexWriter does.
    """
    writer = IndexWriter()
    union = UnionTree(trees)
    first: dict[int, str] = {}
    for node in walk(union):
        entry = node.entry
        if entry.type is not EntryType.DIRECTORY and node.ino in first:
            writer.add(dataclasses.replace(entry, type=EntryType.HARDLINK, target=first[node.ino], size=0))
            continue
        first[node.ino] = entry.path
        if entry.type is EntryType.REGULAR and entry.size:
            writer.add(entry, file=_mapped(node, union, trees, len(layers)))
        else:
            writer.add(entry)
    writer.write(index, [path.stat().st_size for path in merged_devices(layers)])


def merged_devices(layers: Sequence[Layer]) -> list[Path]:
    """The files a merged index points into: all tars, and all indexes, for what is in none of the tars."""
    return [*(layer.tar for layer in layers), *(layer.index for layer in layers)]


def _mapped(node: Node, union: UnionTree, trees: Sequence[LayerTree], count: int) -> FileMap:
    """Where the contents of a file are, told by the numbers that its tar and its index have in the merged image."""
    bits, extents = trees[node.source].chunks(union.in_layer(node))
    blocks = [extent.offset >> BLOCK_BITS if extent.offset >= 0 else -1 for extent in extents]
    devices = [node.source + 1 + (0 if extent.device else count) for extent in extents]
    return FileMap(bits, blocks, devices=devices)
