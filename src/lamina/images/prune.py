"""`prune`: images that nobody needs, and content that nobody owns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lamina.cancellation import NEVER, Cancellation
from lamina.errors import Conflict, NotFound
from lamina.formats.matching import labels_match
from lamina.images.catalog import Catalog
from lamina.images.image import Image
from lamina.images.listing import ImageFilters
from lamina.images.record import CHILDREN
from lamina.images.remove import Deleted, Removal


@dataclass(frozen=True, slots=True)
class Pruned:
    """What went; `reclaimed` is the bytes of the files in the layers that did, as Docker counts."""

    removed: tuple[Removal, ...]
    reclaimed: int


def prune(
    catalog: Catalog, filters: ImageFilters, remove: Callable[[str], list[Removal]], cancellation: Cancellation = NEVER
) -> Pruned:
    """Remove images without a tag, or with `dangling=false` all that no container uses; then collect content.

    `remove` is how one name goes away; what is in use stays, silently.
    """
    removed: list[Removal] = []
    for image in _candidates(catalog, filters):
        cancellation.check()
        for name in _names(image, dangling_only=filters.dangling is not False):
            try:
                removed.extend(remove(name))
            except (Conflict, NotFound):
                continue  # in use, or gone since with an image that stood on it
    catalog.store.collect()
    return Pruned(tuple(removed), sum(item.reclaimed for item in removed if isinstance(item, Deleted)))


def _candidates(catalog: Catalog, filters: ImageFilters) -> list[Image]:
    with catalog.store.read() as tx:
        images = list(catalog.all(tx))
        parents = {key.partition("/")[0] for key, _ in tx.items(CHILDREN)}
    return [image for image in images if _fits(image, filters, str(image.id) in parents)]


def _fits(image: Image, filters: ImageFilters, has_children: bool) -> bool:
    named = bool(image.references or image.digests)
    if has_children and (filters.dangling is not False or not named):
        return False
    if filters.until is not None and image.dated_ns > filters.until:
        return False
    return labels_match(image.labels, filters.labels)


def _names(image: Image, *, dangling_only: bool) -> list[str]:
    """What to remove so that the image goes: its names, or its ID where it has none."""
    if dangling_only and image.references:
        return []
    return [str(name) for name in (*image.references, *image.digests)] or [str(image.id)]
