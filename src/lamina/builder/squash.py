"""`--squash` and `image squash`: layers of an image as fewer layers, in a new image.

Rule: moby's SquashImage (dockerd 20.10, experimental) for the layers above the base: the history stays, its steps count
as empty, and one step "merge … to …" holds the layer. What is computed is the difference of two trees, without a mount,
so the same image gives the same digests.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lamina.builder.cache.holders import note_final
from lamina.builder.difference import Difference
from lamina.builder.layer_plan import with_links, write_files
from lamina.cancellation import NEVER, Cancellation
from lamina.errors import InvalidInput
from lamina.formats.config import History, ImageConfig
from lamina.formats.reference import Reference
from lamina.images.image import Image
from lamina.images.images import Images
from lamina.images.record import check_tag
from lamina.layers.layer import Layer
from lamina.layers.layer_writer import LayerBuilder
from lamina.layers.union import StackTree

_EVERY = re.compile("every=([1-9][0-9]{0,3})")
_ABOVE_BASE = ("1", "true", "True", "base", "from=base")
_NOTHING = ("", "0", "false", "False")


@dataclass(frozen=True, slots=True)
class Squash:
    """Which layers become one: those above the base, all with those of the base, or each `every` above the base."""

    with_base: bool = False
    every: int = 0

    @classmethod
    def parse(cls, text: str | bool) -> Squash | None:
        """Return what `all`, `from=base` or `every=N` asks for, None for nothing. Raise InvalidInput."""
        words = str(text)
        if words in _NOTHING:
            return None
        if words in _ABOVE_BASE:
            return cls()
        if words == "all":
            return cls(with_base=True)
        match = _EVERY.fullmatch(words)
        if match is None:
            raise InvalidInput(f"layers cannot be squashed by {words!r}", advice="Write all, from=base or every=N.")
        return cls(every=int(match[1]))

    def groups(self, layers: int, below: int) -> list[tuple[int, int]]:
        """Return the first layer of each new one, and the one behind its last. `below` layers are the base's."""
        start = 0 if self.with_base else below
        step = self.every or max(layers - start, 1)
        alone = [(position, position + 1) for position in range(start)]
        return alone + [(position, min(position + step, layers)) for position in range(start, layers, step)]


def squashed_image(
    images: Images,
    image: Image,
    how: str,
    base: Image | None = None,
    tags: Sequence[str] = (),
    cancellation: Cancellation = NEVER,
) -> Image:
    """Return an image with fewer layers, under these names. Those of `base` stay.

    Raise InvalidInput for another way than `Squash.parse` knows, and for a base that the image was not built on.
    """
    asked = Squash.parse(how)
    if asked is None:
        raise InvalidInput("nothing is to be squashed", advice="Write all, from=base or every=N.")
    if base is not None and image.config.diff_ids[: len(base.layers)] != base.config.diff_ids:
        raise InvalidInput(f"the image {image.id.short} does not begin with the layers of {base.id.short}")
    names = [check_tag(Reference.parse(text).with_default_tag()) for text in tags]
    with images.held([image]):
        merged = squash(images, image, base, asked, cancellation)
        created = images.create(merged.config, references=names, built=True)
        with images.store.transaction() as tx:
            note_final(tx, created.id)
    for name in names:
        images.publish("tag", created, name.familiar())
    return created


def squash(images: Images, image: Image, base: Image | None, how: Squash, cancellation: Cancellation = NEVER) -> Image:
    """Return the squashed image; `image` itself when nothing is merged. Raise NoSpace, Cancelled."""
    below = len(base.layers) if base else 0
    groups = how.groups(len(image.layers), below)
    is_classic = not (how.every or how.with_base) and len(image.layers) > below
    if not is_classic and all(end - start == 1 for start, end in groups):
        return image
    merged = [_merged(images, image, group, cancellation, always=is_classic and group[0] == below) for group in groups]
    config = _above_base(image, base, merged) if is_classic else _grouped(image, groups, merged)
    return images.create(config, built=True)


def _merged(
    images: Images, image: Image, group: tuple[int, int], cancellation: Cancellation, *, always: bool
) -> Layer | None:
    """Return the layer for some of an image's; None where they change nothing together."""
    start, end = group
    if end - start == 1 and not always:
        return image.layers[start]
    difference = Difference(StackTree(image.layers[:end]), StackTree(image.layers[:start]) if start else None)

    def fill(builder: LayerBuilder) -> None:
        write_files(builder, with_links(difference.below()))

    return images.store.layers.write(fill, cancellation)


def _above_base(image: Image, base: Image | None, merged: Sequence[Layer | None]) -> ImageConfig:
    """Return the config that Docker makes: the steps above the base are empty, and one at the end has the layer."""
    steps = len(base.config.history) if base else 0
    history = [*image.config.history[:steps]]
    history += [replace(step, empty_layer=True) for step in image.config.history[steps:]]
    words = f"merge {image.id} to {base.id if base else 'scratch'}"
    history.append(History(image.config.created, "", words, image.config.author, merged[-1] is None))
    return _config(image, merged, history)


def _grouped(image: Image, groups: Sequence[tuple[int, int]], merged: Sequence[Layer | None]) -> ImageConfig:
    """Return the config whose history has, behind the steps of each group, one that holds their layer."""
    ends = {end: (start, layer) for (start, end), layer in zip(groups, merged, strict=True) if end - start > 1}
    inside = {position for end, (start, _) in ends.items() for position in range(start, end)}
    steps = image.config.history
    if sum(not step.empty_layer for step in steps) != len(image.layers):  # it tells nothing of these layers
        steps = tuple(History(image.config.created) for _ in image.layers)
    history, position = list[History](), 0
    for step in steps:
        if step.empty_layer:
            history.append(step)
            continue
        history.append(replace(step, empty_layer=True) if position in inside else step)
        position += 1
        if position in ends:
            start, layer = ends[position]
            words = f"squash layers {start + 1} to {position} of {image.id}"
            history.append(History(step.created, "", words, image.config.author, layer is None))
    return _config(image, merged, history)


def _config(image: Image, merged: Sequence[Layer | None], history: Sequence[History]) -> ImageConfig:
    diff_ids = tuple(layer.diff_id for layer in merged if layer is not None)
    return image.config.replace(diff_ids=diff_ids, history=tuple(history))
