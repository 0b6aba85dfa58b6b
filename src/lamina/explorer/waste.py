"""Bytes in layers that nobody sees in the image, and dive's measure of them.

One walk over all layers at once does both. A file is hidden by the lowest layer above its own that has another file,
a deletion or a link at its path, or at a folder above it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lamina.api.explorer import Efficiency, HiddenFile
from lamina.cancellation import NEVER, Cancellation
from lamina.explorer.opened import OpenImage
from lamina.layers.entry import EntryType
from lamina.layers.tree import Node, walk

MOST = 1000  # hidden files that are named; the others are counted


@dataclass(slots=True)
class Waste:
    """What a walk found: the largest hidden files, all of them counted, and dive's sums in bytes."""

    largest: list[tuple[int, str, int, int]] = field(default_factory=list)  # a heap of size, path, layer, hider
    files: int = 0
    bytes: int = 0
    written: int = 0
    needed: int = 0
    repeated: int = 0

    def hide(self, path: str, layer: int, hider: int, size: int) -> None:
        """Count a file that `hider` hides."""
        self.files += 1
        self.bytes += size
        push = heapq.heappush if len(self.largest) < MOST else heapq.heappushpop
        push(self.largest, (size, path, layer, hider))

    def count(self, sizes: list[int]) -> None:
        """Count what the layers have at one path, by dive's rules."""
        if sizes:
            self.written += sum(sizes)
            self.needed += min(sizes)
        if len(sizes) > 1:
            self.repeated += sum(sizes)

    @property
    def hidden(self) -> tuple[HiddenFile, ...]:
        """Return the hidden files that are named, the largest first."""
        ordered = sorted(self.largest, key=lambda item: (-item[0], item[1], item[2]))
        return tuple(HiddenFile(path=f"/{p}", layer=n, hidden_by=h, size=s) for s, p, n, h in ordered)

    def efficiency(self, above_first: int) -> Efficiency:
        """Return dive's figures; `above_first` is the bytes of the files in all layers but the first."""
        return Efficiency(
            score=self.needed / self.written if self.written else 1.0,
            wasted=self.repeated,
            wasted_share=self.repeated / above_first if above_first else 0.0,
        )


_Versions = list[tuple[int, Node]]  # a path in each layer that has it, from the bottom
OnHidden = Callable[[str, int, int, int], None]  # gets path, layer, hider and size of each hidden file


def find_waste(image: OpenImage, cancellation: Cancellation = NEVER, on_hidden: OnHidden | None = None) -> Waste:
    """Walk all layers, and call `on_hidden` for each hidden file. Raise Cancelled, Corrupt."""
    waste = Waste()
    names = _FirstNames()
    todo: list[tuple[_Versions, tuple[int, ...]]] = [(_roots(image), ())]
    while todo:
        cancellation.check()
        folder, hiders = todo.pop()
        for versions in _children(image, folder):
            cuts = (*hiders, *(number for number, node in versions if not node.is_directory or node.opaque))
            sizes: list[int] = []
            for number, node in versions:
                if node.entry.type is EntryType.REGULAR and not node.is_whiteout:
                    sizes.append(names.size(number, node))
                    if (hider := _hider(number, versions, hiders)) is not None:
                        waste.hide(node.path, number, hider, sizes[-1])
                        if on_hidden is not None:
                            on_hidden(node.path, number, hider, sizes[-1])
                elif not node.is_directory:
                    sizes.append(_removed_bytes(image, number, node) if node.is_whiteout else 0)
            waste.count(sizes)
            directories = [(number, node) for number, node in versions if node.is_directory]
            if directories:
                todo.append((directories, cuts))
    return waste


def _roots(image: OpenImage) -> _Versions:
    roots = ((number, tree.lookup("")) for number, tree in enumerate(image.trees))
    return [(number, root) for number, root in roots if root is not None]


def _children(image: OpenImage, folder: _Versions) -> Iterator[_Versions]:
    """Yield the names in the directories of one path, each with the layers that have it."""
    names: dict[str, _Versions] = {}
    for number, directory in folder:
        for node in image.trees[number].children(directory.path):
            names.setdefault(node.name, []).append((number, node))
    yield from names.values()


def _hider(layer: int, versions: _Versions, hiders: tuple[int, ...]) -> int | None:
    """Return the lowest layer that hides the file of `layer`."""
    above = [number for number, _ in versions if number > layer] + [number for number in hiders if number > layer]
    return min(above, default=None)


def _removed_bytes(image: OpenImage, layer: int, whiteout: Node) -> int:
    """Return the bytes of the files below a directory that a layer removes; 0 for a file, as dive counts."""
    files = image.files(layer - 1)
    before = files.lookup(whiteout.path)
    if before is None or not before.is_directory:
        return 0
    return sum(node.entry.size for node in walk(files, whiteout.path))


class _FirstNames:
    """The files with several names. Their bytes count once, for the name that comes first."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, int], str] = {}

    def size(self, layer: int, node: Node) -> int:
        """Return the bytes that the layer has for this name."""
        if node.nlink > 1 and self._seen.setdefault((layer, node.ino), node.path) != node.path:
            return 0
        return node.entry.size
