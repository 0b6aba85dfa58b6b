"""The cache of a build inside its image: the keys of the steps whose layers the image has.

Rule: moby/buildkit, cache/remotecache/inline. The config has one more member, and so the image another ID.
"""

from __future__ import annotations

from dataclasses import replace

from lamina.builder.cache.holders import note_final
from lamina.builder.cache.records import CachedKey, CachedStep
from lamina.builder.cache_exchange.cache_document import INLINE, write_inline
from lamina.builder.export.result import PlatformImage
from lamina.images.images import Images


def with_inline_cache(images: Images, item: PlatformImage) -> PlatformImage:
    """Return the image with its cache in it. Hold its layers by a lease until then. Raise NoSpace."""
    image = item.image
    diff_ids = image.config.diff_ids
    steps = [
        step
        for step in item.cached
        if isinstance(step, CachedStep | CachedKey) and set(diff_ids).issuperset(step.layers)
    ]
    config = image.config.replace(extra={INLINE: write_inline(steps, diff_ids)})
    cached_image = images.create(config, parent=image.parent, built=True)
    with images.store.transaction() as tx:
        note_final(tx, cached_image.id)
    return replace(item, image=cached_image)
