"""What two images have in common: layers, which are on disk once, and equal files in layers that differ."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator

from lamina.api.explorer_findings import SharedFile, SharedLayer, Sharing
from lamina.cancellation import Cancellation
from lamina.explorer.budget import ReadBudget
from lamina.explorer.contents import content_digest
from lamina.explorer.opened import OpenImage
from lamina.layers.entry import EntryType
from lamina.layers.tree import Node, walk

_HASHED = 8 << 30  # bytes of files that are read to find equal ones
_NAMED = 1000  # equal files that are named


def sharing(image: OpenImage, other: OpenImage, cancellation: Cancellation) -> Sharing:
    """Return what two images share. Raise Cancelled, Corrupt."""
    common = {layer.diff_id for layer in image.layers} & {layer.diff_id for layer in other.layers}
    shared = {
        layer.diff_id: SharedLayer(diff_id=layer.diff_id, size=layer.size, created_by=layer.created_by)
        for layer in image.layers
        if layer.diff_id in common
    }
    files = bytes_ = 0
    largest: list[tuple[int, str, str]] = []
    for node, twin in _equal_files(image, other, common, cancellation):
        files += 1
        bytes_ += node.entry.size
        push = heapq.heappush if len(largest) < _NAMED else heapq.heappushpop
        push(largest, (node.entry.size, f"/{node.path}", f"/{twin.path}"))
    ordered = sorted(largest, key=lambda item: (-item[0], item[1]))
    return Sharing(
        image=image.id,
        other=other.id,
        layers=tuple(shared.values()),
        shared_bytes=sum(layer.size for layer in shared.values()),
        own_bytes=_own_bytes(image, common),
        other_bytes=_own_bytes(other, common),
        equal=tuple(SharedFile(path=path, other_path=twin, size=size) for size, path, twin in ordered),
        equal_files=files,
        equal_bytes=bytes_,
    )


def _own_bytes(image: OpenImage, common: set[str]) -> int:
    return sum(layer.size for layer in image.layers if layer.diff_id not in common)


def _equal_files(
    image: OpenImage, other: OpenImage, common: set[str], cancellation: Cancellation
) -> Iterator[tuple[Node, Node]]:
    """Yield each file in a layer of `image`'s own, with a file of `other` that has the same bytes."""
    by_size: dict[int, list[Node]] = defaultdict(list)
    for node in _own_files(image, common, cancellation):
        by_size[node.entry.size].append(node)
    others: dict[int, list[Node]] = defaultdict(list)
    for node in _own_files(other, common, cancellation):
        if node.entry.size in by_size:
            others[node.entry.size].append(node)
    budget = ReadBudget(_HASHED)
    for size, twins in others.items():
        digests = {
            content_digest(other.merged, twin, cancellation): twin for twin in reversed(twins) if budget.take(twin)
        }
        for node in by_size[size]:
            twin = digests.get(content_digest(image.merged, node, cancellation)) if budget.take(node) else None
            if twin is not None:
                yield node, twin


def _own_files(image: OpenImage, common: set[str], cancellation: Cancellation) -> Iterator[Node]:
    """Yield the visible files with contents in layers that the other image does not have, each of them once."""
    names: set[tuple[int, int]] = set()
    for node in walk(image.merged):
        cancellation.check()
        if node.entry.type is not EntryType.REGULAR or not node.entry.size:
            continue
        if image.layers[node.source].diff_id in common or node.shared in names:
            continue
        if node.shared is not None:
            names.add(node.shared)
        yield node
