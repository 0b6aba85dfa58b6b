"""`--squash`: everything above the base as one layer, in a new image.

Rule: moby's SquashImage (dockerd 20.10, experimental): the history stays, its steps above the base count as empty, and
one step "merge … to …" holds the layer. What is computed is the difference of two trees, without a mount.
"""

from __future__ import annotations

from lamina.builder.build_run import BuildRooms
from lamina.builder.difference import Difference
from lamina.builder.layer_plan import with_links, write_files
from lamina.formats.config import History
from lamina.images.image import Image
from lamina.layers.layer import Layer
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
    difference = Difference(StackTree(image.layers), StackTree(base.layers) if base and base.layers else None)
    return rooms.store.layers.write(lambda builder: write_files(builder, with_links(difference.below())))
