"""The files of a directory, or of all, at one layer, with what that layer did to them."""

from __future__ import annotations

from collections.abc import Callable

from lamina.api.explorer import FoundFile, Kind, ListedFile
from lamina.cancellation import NEVER, Cancellation
from lamina.errors import TooLarge
from lamina.explorer.opened import OpenImage, state_of
from lamina.layers.tree import Node, name_key

MOST = 100_000  # files of one directory in a list


def listed_files(image: OpenImage, path: str, layer: int) -> tuple[ListedFile, ...]:
    """Return what is in the directory `path` at `layer`, sorted by the bytes of the names; nothing for other files.

    What the layer removed is listed too. No link is followed. Raise TooLarge for more than a list can show.
    """
    nodes = _nodes(image, path, layer)
    if len(nodes) > MOST:
        raise TooLarge(f"/{path} has more than {MOST} files", advice="Search in it with `find`.", limit=MOST)
    return tuple(
        ListedFile(name=node.name, layer=source, change=change, state=state_of(node.entry))
        for node, source, change in nodes
    )


def _nodes(image: OpenImage, path: str, layer: int) -> list[tuple[Node, int, Kind]]:
    below = {node.name: node for node in image.files(layer - 1).children(path)}
    nodes = [(node, node.source, _change(image, node, below, layer)) for node in image.files(layer).children(path)]
    present = {node.name for node, _, _ in nodes}
    nodes += [(node, node.source, "removed") for name, node in below.items() if name not in present]
    return sorted(nodes, key=lambda item: name_key(item[0]))


def _change(image: OpenImage, node: Node, below: dict[str, Node], layer: int) -> Kind:
    if node.name not in below:
        return "added"
    return "modified" if image.trees[layer].lookup(node.path) is not None else ""


def found_files(
    image: OpenImage, layer: int, wanted: Callable[[FoundFile], bool], limit: int, cancellation: Cancellation = NEVER
) -> tuple[FoundFile, ...]:
    """Return at most `limit` of the files at `layer` that are wanted, folders before what is in them. Raise Cancelled.

    Of a folder that the layer removed only the folder itself is looked at.
    """
    found: list[FoundFile] = []
    todo = list(reversed(_nodes(image, "", layer)))
    while todo and len(found) < limit:
        cancellation.check()
        node, source, change = todo.pop()
        file = FoundFile(path=f"/{node.path}", layer=source, change=change, state=state_of(node.entry))
        if wanted(file):
            found.append(file)
        if node.is_directory and change != "removed":
            todo.extend(reversed(_nodes(image, node.path, layer)))
    return tuple(found)
