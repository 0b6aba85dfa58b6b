"""Blame: which instruction brought a path, and which changed or removed it."""

from __future__ import annotations

from collections.abc import Iterator

from lamina.api.explorer import Blame, Touch
from lamina.cancellation import NEVER, Cancellation
from lamina.errors import NotFound
from lamina.explorer.contents import same_content
from lamina.explorer.opened import OpenImage, state_of
from lamina.layers.tree import Node, Tree, entry_at, resolve


def blame(image: OpenImage, path: str, cancellation: Cancellation = NEVER) -> Blame:
    """Return the life of `path`. Links on the way to it are followed as they are in the whole image.

    Raise NotFound for a path that no layer has, InvalidInput for a loop of links, Cancelled.
    """
    parent, _, name = path.strip("/").rpartition("/")
    folder = resolve(lambda place: entry_at(image.merged, place), parent)
    place = f"{folder}/{name}" if folder else name
    touches = tuple(_touches(image, place, cancellation))
    if not touches:
        raise NotFound(f"no layer of the image has /{place}", advice="List its folder to see what is there.", path=path)
    return Blame(path=f"/{place}", touches=touches)


def _touches(image: OpenImage, path: str, cancellation: Cancellation) -> Iterator[Touch]:
    below: Tree = image.files(-1)
    before: Node | None = None
    for layer in image.layers:
        tree = image.files(layer.number)
        now = tree.lookup(path)
        if now is None and before is not None:
            yield Touch(layer=layer.number, created_by=layer.created_by, change="removed")
        elif now is not None and (before is None or image.trees[layer.number].lookup(path) is not None):
            yield Touch(
                layer=layer.number,
                created_by=layer.created_by,
                change="added" if before is None else "modified",
                state=state_of(now.entry),
                same_content=before is not None and same_content(below, before, tree, now, cancellation),
            )
        below, before = tree, now
