"""`rewrite-timestamp`: times later than SOURCE_DATE_EPOCH become it, in the config and in the layers.

Rule: moby/buildkit, docs/build-repro.md; exporter/containerimage/writer.go. What came with the base image stays.
"""

from __future__ import annotations

from dataclasses import replace

from lamina.cancellation import Cancellation
from lamina.formats.config import History, ImageConfig
from lamina.formats.times import format_time, parse_time
from lamina.images.image import Image
from lamina.images.images import Images
from lamina.layers.entry import EntryType
from lamina.layers.layer import Layer
from lamina.layers.layer_writer import LayerBuilder
from lamina.layers.tar.reader import read_tar
from lamina.store.store import Store

REWRITTEN = "buildkit/rewritten-timestamp"  # annotates layers with the epoch
_SECOND = 10**9


def rewritten(
    images: Images, image: Image, base: ImageConfig | None, epoch: int, *, layers: bool, cancellation: Cancellation
) -> Image:
    """Return the image with no time later than `epoch` (seconds); `image` itself where it has none.

    Without `layers` only the config changes. Raise NoSpace, Cancelled.
    """
    limit = epoch * _SECOND
    base_layers = len(base.diff_ids) if base else 0
    own = image.layers[base_layers:]
    new_layers = [*image.layers[:base_layers]]
    for layer in own:
        new_layers.append(_rewrite(images.store, layer, limit, cancellation) if layers else layer)
    steps = len(base.history) if base else 0
    history = [*image.config.history[:steps], *(_clamped(step, limit) for step in image.config.history[steps:])]
    config = image.config.replace(
        diff_ids=tuple(layer.diff_id for layer in new_layers),
        history=tuple(history),
        created=_earlier(image.config.created, limit),
    )
    if config.raw == image.config.raw:
        return image
    return images.create(config, parent=image.parent, built=True)


def _clamped(step: History, limit: int) -> History:
    return replace(step, created=_earlier(step.created, limit))


def _earlier(time: str | None, limit: int) -> str | None:
    return format_time(limit) if time is None or parse_time(time) > limit else time


def _rewrite(store: Store, layer: Layer, limit: int, cancellation: Cancellation) -> Layer:
    def fill(builder: LayerBuilder) -> None:
        with layer.tar.open("rb") as file:
            for member in read_tar(file):
                clamped = replace(member.entry, mtime_ns=min(member.entry.mtime_ns, limit))
                builder.add(clamped, member.data if member.entry.type is EntryType.REGULAR else None)

    return store.layers.write(fill, cancellation) or layer
