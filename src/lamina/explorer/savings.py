"""What an image could do without: hidden files, package caches, and files that it has twice."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from msgspec.structs import replace

from lamina.api.explorer_findings import Saving, SavingKind
from lamina.cancellation import NEVER, Cancellation
from lamina.explorer.budget import ReadBudget
from lamina.explorer.contents import content_digest
from lamina.explorer.opened import OpenImage
from lamina.explorer.package_caches import CACHES, cache_of
from lamina.explorer.waste import find_waste
from lamina.layers.entry import EntryType
from lamina.layers.tree import Node, walk

_SMALLEST = 4096  # bytes of a file whose copies are looked for
_HASHED = 8 << 30  # bytes of files that are read to find copies
_COMPARED = 250_000  # files that copies are looked for among, which have to be remembered
_NAMED = 10  # paths of one saving
_MOST = 1000  # savings that are returned
_ADVICE = {cache.name: cache.advice for cache in CACHES}


@dataclass(slots=True)
class _Sum:
    """Files of one saving: the number of them, their bytes, and the largest ones."""

    files: int = 0
    bytes: int = 0
    largest: list[tuple[int, str]] = field(default_factory=list)

    def add(self, path: str, size: int) -> None:
        self.files += 1
        self.bytes += size
        push = heapq.heappush if len(self.largest) < _NAMED else heapq.heappushpop
        push(self.largest, (size, path))

    @property
    def paths(self) -> tuple[str, ...]:
        ordered = sorted(self.largest, key=lambda item: (-item[0], item[1]))
        return tuple(f"/{path.lstrip('/')}" for _, path in ordered)

    def saving(self, image: OpenImage, kind: SavingKind, layer: int, advice: str) -> Saving:
        """Return what a layer of the image could do without."""
        return Saving(
            kind=kind,
            bytes=self.bytes,
            files=self.files,
            layer=layer,
            created_by=image.layers[layer].created_by,
            paths=self.paths,
            advice=advice,
        )


def find_savings(image: OpenImage, cancellation: Cancellation = NEVER) -> tuple[Saving, ...]:
    """Return what the image could do without, most bytes first. Raise Cancelled, Corrupt."""
    caches, candidates = _Caches(), _Candidates()
    for node in walk(image.merged):
        cancellation.check()
        if node.entry.type is EntryType.REGULAR and node.entry.size:
            caches.add(node)
            candidates.add(node)
    savings = [
        *_hidden(image, cancellation),
        *caches.savings(image),
        *_duplicates(image, candidates, cancellation),
    ]
    return tuple(sorted(savings, key=lambda saving: (-saving.bytes, saving.layer, saving.kind, saving.paths))[:_MOST])


def _hidden(image: OpenImage, cancellation: Cancellation) -> Iterator[Saving]:
    sums: dict[tuple[int, int], _Sum] = defaultdict(_Sum)
    find_waste(image, cancellation, lambda path, layer, hider, size: sums[layer, hider].add(path, size))
    for (layer, hider), files in sums.items():
        if files.bytes:
            advice = (
                f"Layer {hider} replaces or removes these files, and layer {layer} still carries them. Write "
                "them once, or remove them in the instruction that writes them."
            )
            yield replace(files.saving(image, "hidden", layer, advice), hidden_by=hider)


class _Caches:
    """The files of package caches, by cache and layer."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, int], _Sum] = defaultdict(_Sum)

    def add(self, node: Node) -> None:
        """Count a file with contents, if it is part of a cache."""
        if (cache := cache_of(node.path)) is not None:
            self._sums[cache.name, node.source].add(node.path, node.entry.size)

    def savings(self, image: OpenImage) -> Iterator[Saving]:
        for (name, layer), files in self._sums.items():
            yield files.saving(image, "cache", layer, _ADVICE[name])


class _Candidates:
    """The files whose bytes are looked at for copies, by size and each of them once. Later ones may be left out."""

    def __init__(self) -> None:
        self._by_size: dict[int, list[Node]] = defaultdict(list)
        self._names: set[tuple[int, int]] = set()
        self._left = _COMPARED

    def add(self, node: Node) -> None:
        """Remember a file with contents, unless it is small, or another name of one that is remembered."""
        if node.entry.size < _SMALLEST or not self._left or (node.shared is not None and node.shared in self._names):
            return
        if node.shared is not None:
            self._names.add(node.shared)
        self._by_size[node.entry.size].append(node)
        self._left -= 1

    def of_one_size(self) -> Iterator[list[Node]]:
        """Yield the files of each size that several have."""
        yield from (nodes for nodes in self._by_size.values() if len(nodes) > 1)


def _duplicates(image: OpenImage, candidates: _Candidates, cancellation: Cancellation) -> Iterator[Saving]:
    """Yield for each layer the files whose bytes the image has at another path as well."""
    sums: dict[int, _Sum] = defaultdict(_Sum)
    for copies in _equal_files(image, candidates, cancellation):
        first = min(copies, key=lambda node: (node.source, node.path))
        for node in copies:
            if node is not first:
                sums[node.source].add(node.path, node.entry.size)
    advice = "The image has the same bytes at another path. Use a link, or COPY --link from one place."
    for layer, files in sums.items():
        yield files.saving(image, "duplicate", layer, advice)


def _equal_files(image: OpenImage, candidates: _Candidates, cancellation: Cancellation) -> Iterator[list[Node]]:
    budget = ReadBudget(_HASHED)
    for nodes in candidates.of_one_size():
        yield from _by_digest(image, nodes, budget, cancellation)


def _by_digest(
    image: OpenImage, nodes: list[Node], budget: ReadBudget, cancellation: Cancellation
) -> Iterator[list[Node]]:
    equal: dict[bytes, list[Node]] = defaultdict(list)
    for node in nodes:
        if budget.take(node):
            equal[content_digest(image.merged, node, cancellation)].append(node)
    yield from (copies for copies in equal.values() if len(copies) > 1)
