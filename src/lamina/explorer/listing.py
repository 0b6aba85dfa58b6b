"""The files of a directory at one layer, with what that layer did to them."""

from __future__ import annotations

from collections.abc import Iterator

from lamina.api.explorer import Kind, ListedFile
from lamina.explorer.opened import OpenImage, state_of
from lamina.layers.tree import Node, name_key


def listed_files(image: OpenImage, path: str, layer: int) -> tuple[ListedFile, ...]:
    """Return what is in the directory `path` at `layer`, sorted by the bytes of the names; nothing for other files.

    What the layer removed is listed too. No link is followed.
    """
    return tuple(
        ListedFile(name=node.name, layer=source, change=change, state=state_of(node.entry))
        for node, source, change in _nodes(image, path, layer)
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


def walk_changes(image: OpenImage, layer: int) -> Iterator[tuple[str, Kind]]:
    """Yield the paths that `layer` added, modified or removed, directories before what is in them."""
    todo = [""]
    while todo:
        path = todo.pop()
        for node, _, change in _nodes(image, path, layer):
            if change:
                yield node.path, change
            if change in ("added", "modified") and node.is_directory:
                todo.append(node.path)
