"""`--squash`: everything above the base as one layer, in a new image.

Rule: moby's SquashImage (dockerd 20.10, experimental): the history stays, its steps above the base count as empty, and
one step "merge … to …" holds the layer. What is computed is the difference of two trees, without a mount.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from lamina.builder.build_run import BuildRooms
from lamina.builder.layer_plan import PlannedFile, with_links, write_files
from lamina.formats.config import History
from lamina.images.image import Image
from lamina.layers.entry import whiteout_entry
from lamina.layers.layer import Layer
from lamina.layers.tree import Node, walk
from lamina.layers.union import StackTree


def squash(rooms: BuildRooms, image: Image, base: Image | None) -> Image:
    """Return the squashed image; `image` itself when it has no layer on top of `base`."""
    below = len(base.layers) if base else 0
    if len(image.layers) == below:
        return image
    layer = _merged(rooms, image, base)
    steps = len(base.config.history) if base else 0
    history = [*image.config.history[:steps]]
    history += [
        History(step.created, step.created_by, step.comment, step.author, True) for step in image.config.history[steps:]
    ]
    parent = str(base.id) if base else "scratch"
    merged = f"merge {image.id} to {parent}"
    history.append(History(image.config.created, "", merged, image.config.author, layer is None))
    config = image.config.replace(
        diff_ids=(*image.config.diff_ids[:below], *((layer.diff_id,) if layer else ())), history=tuple(history)
    )
    return rooms.images.create(config, built=True)


def _merged(rooms: BuildRooms, image: Image, base: Image | None) -> Layer | None:
    difference = _Difference(StackTree(image.layers), StackTree(base.layers) if base and base.layers else None)
    return rooms.store.layers.write(lambda builder: write_files(builder, with_links(difference.below(""))))


@dataclass(frozen=True, slots=True)
class _Difference:
    """The files that turn `old` into `new`. An unchanged file is the same file of the same shared layer."""

    new: StackTree
    old: StackTree | None

    def below(self, path: str) -> Iterator[PlannedFile]:
        """Yield the changed files below a directory, and the directories that hold them."""
        before = {node.path: node for node in self.old.children(path)} if self.old else {}
        after = {node.path: node for node in self.new.children(path)}
        for name in sorted({*before, *after}, key=os.fsencode):
            old, new = before.get(name), after.get(name)
            if new is None:
                yield PlannedFile(whiteout_entry(name))
            elif old is None or old.is_directory != new.is_directory:
                yield from self._all(new)
            elif new.is_directory:
                yield from self._directory(old, new)
            elif not self._same(old, new):
                yield PlannedFile(new.entry, self.new, new)

    def _directory(self, old: Node, new: Node) -> Iterator[PlannedFile]:
        inside = list(self.below(new.path))
        if inside or not self._same(old, new):
            yield PlannedFile(new.entry)
            yield from inside

    def _all(self, node: Node) -> Iterator[PlannedFile]:
        for each in walk(self.new, node.path):
            yield PlannedFile(each.entry, self.new, each)

    def _same(self, old: Node, new: Node) -> bool:
        if self.old is None or old.source != new.source:
            return False
        return self.old.in_layer(old).ino == self.new.in_layer(new).ino
