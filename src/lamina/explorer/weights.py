"""How heavy the folders of a layer, or of a whole image, are, and how much of each nobody sees any more.

A picture has room for some hundred folders and files. The heaviest folders are opened until there are that many.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from lamina.api.explorer_findings import Weight
from lamina.cancellation import NEVER, Cancellation
from lamina.explorer.opened import OpenImage
from lamina.explorer.waste import find_waste
from lamina.layers.entry import EntryType
from lamina.layers.tree import Tree, walk

_MOST = 5000  # files and folders that are named
_WIDEST = 100  # of them in one folder
_DEEPEST = 50  # folders below each other
_SHARE = 1000  # what is lighter than this part of its folder is not named


@dataclass(slots=True)
class _Folder:
    """A folder or a file with the bytes of all in it. A file has no children."""

    name: str
    size: int = 0
    hidden: int = 0
    is_directory: bool = True
    children: dict[str, _Folder] = field(default_factory=dict)
    is_open: bool = False

    def add(self, size: int, hidden: int) -> None:
        self.size += size
        self.hidden += hidden


def weigh(image: OpenImage, layer: int | None, most: int, cancellation: Cancellation = NEVER) -> Weight:
    """Return the files that `layer`, or with None every layer, has. At most about `most` of them are named.

    Raise Cancelled, Corrupt.
    """
    hidden: set[tuple[int, str]] = set()
    find_waste(image, cancellation, lambda path, number, hider, size: hidden.add((number, path)))
    numbers: Sequence[int] = range(len(image.trees)) if layer is None else (layer,)
    root = _Folder("")
    for is_second in (False, True):  # folders first: then it is known which files are heavy enough to be named
        for number in numbers:
            for path, size in _files(image.trees[number], cancellation):
                covered = size if (number, path) in hidden else 0
                if is_second:
                    _add_file(root, path, size, covered)
                else:
                    _add_to_folders(root, path, size, covered)
    _open_heaviest(root, min(most, _MOST))
    return _weight(root)


def _files(tree: Tree, cancellation: Cancellation) -> Iterator[tuple[str, int]]:
    """Yield the regular files of a layer with their bytes. A file with several names counts once."""
    seen: set[int] = set()
    for node in walk(tree):
        cancellation.check()
        if node.entry.type is not EntryType.REGULAR or node.is_whiteout or node.ino in seen:
            continue
        if node.nlink > 1:
            seen.add(node.ino)
        yield node.path, node.entry.size


def _add_to_folders(root: _Folder, path: str, size: int, hidden: int) -> None:
    root.add(size, hidden)
    place = root
    for name in path.split("/")[:-1]:
        place = place.children.setdefault(name, _Folder(name))
        place.add(size, hidden)


def _add_file(root: _Folder, path: str, size: int, hidden: int) -> None:
    *folders, name = path.split("/")
    place = root
    for folder in folders:
        place = place.children[folder]
    if size * _SHARE >= place.size > 0:
        place.children.setdefault(name, _Folder(name, is_directory=False)).add(size, hidden)


def _open_heaviest(root: _Folder, most: int) -> None:
    numbers = count()
    waiting = [(-root.size, next(numbers), 0, root)]
    named = 1
    while waiting and named < most:
        _, _, depth, folder = heapq.heappop(waiting)
        folder.is_open = True
        named += len(_heavy(folder))
        for child in _heavy(folder):
            if child.children and depth < _DEEPEST:
                heapq.heappush(waiting, (-child.size, next(numbers), depth + 1, child))


def _heavy(folder: _Folder) -> list[_Folder]:
    """Return the children that can be seen in a picture."""
    ordered = sorted(folder.children.values(), key=lambda child: (-child.size, child.name))
    return [child for child in ordered[:_WIDEST] if child.size * _SHARE >= folder.size > 0]


def _weight(folder: _Folder) -> Weight:
    children = tuple(_weight(child) for child in _heavy(folder)) if folder.is_open else ()
    return Weight(
        name=folder.name,
        size=folder.size,
        hidden=folder.hidden,
        is_directory=folder.is_directory,
        children=children,
    )
