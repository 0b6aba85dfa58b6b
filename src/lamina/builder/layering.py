"""A planned step becomes a layer: every file is read once, summed where nobody knew its sum, hashed and indexed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from lamina.builder.draft import Planned
from lamina.builder.sums import Sums
from lamina.builder.tree import Data
from lamina.cancellation import NEVER, Cancellation
from lamina.layers.builder import LayerBuilder
from lamina.layers.entry import EntryType
from lamina.layers.layer import Ingested
from lamina.store.layers import LayerIngest

if TYPE_CHECKING:
    from hashlib import _Hash


class _Summing:
    """A file's bytes on their way into the layer, hashed as they pass."""

    __slots__ = ("_data", "_hasher")

    def __init__(self, data: Data, hasher: _Hash) -> None:
        self._data = data
        self._hasher = hasher

    def read(self, size: int, /) -> bytes:
        piece = self._data.read(size)
        self._hasher.update(piece)
        return piece


def write_layer(
    making: LayerIngest, members: Iterable[Planned], sums: Mapping[int, Sums], cancellation: Cancellation = NEVER
) -> Ingested:
    """Write all members, in order. `sums` has the memory of each tree, by `id(tree)`.

    Raises InvalidInput when a file got shorter while it was read, NoSpace, Cancelled, and what the trees raise.
    """
    with LayerBuilder(making.tar, making.index, cancellation) as builder:
        for planned in members:
            memory = sums.get(id(planned.tree))
            _add(builder, planned, memory)
        return builder.finish()


def _add(builder: LayerBuilder, planned: Planned, memory: Sums | None) -> None:
    tree, node, entry = planned.tree, planned.node, planned.entry
    if tree is None or node is None or entry.type is not EntryType.REGULAR:
        builder.add(entry, planned.content)
        return
    data = tree.open(node)
    try:
        if memory is None or memory.known(node) is not None:
            builder.add(entry, data)
        else:
            hasher = hashlib.sha256(memory.header(node))
            builder.add(entry, _Summing(data, hasher))
            memory.note(node, hasher.hexdigest())
    finally:
        data.close()
