"""Which images to show, how much of each is shared, and the disk's totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lamina.formats.digest import Digest
from lamina.formats.globs import compile_match
from lamina.formats.labelfilters import labels_match
from lamina.formats.reference import Reference
from lamina.images.catalog import Catalog
from lamina.images.filters import ImageFilters
from lamina.images.image import Image
from lamina.images.record import CHILDREN
from lamina.images.remove import Users


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image in a list: the names that fitted the filters, how many containers use it, sizes in bytes.

    `shared_size` is the part of `image.size` in layers that other images have too; None where it was not asked for.
    """

    image: Image
    references: tuple[Reference, ...]
    digests: tuple[Reference, ...]
    containers: int
    shared_size: int | None = None


@dataclass(frozen=True, slots=True)
class ImagesUsage:
    """What images take: `layers_size` is the bytes of the files in all layers, each layer once."""

    images: tuple[ListedImage, ...]
    layers_size: int


@dataclass(frozen=True, slots=True)
class _All:
    images: tuple[Image, ...]
    parents: frozenset[str]
    layer_users: Counter[str]


def list_images(
    catalog: Catalog, users: Users, filters: ImageFilters, *, all_images: bool, shared_size: bool
) -> list[ListedImage]:
    """Images that fit, newest first. Without `all_images` those that only carry others stay hidden."""
    everything = _read(catalog)
    newest, oldest = _bounds(catalog, filters)
    found = []
    for image in everything.images:
        dated = image.dated_ns
        if (newest is not None and dated >= newest) or (oldest is not None and dated <= oldest):
            continue
        if not labels_match(image.labels, filters.labels):
            continue
        if (names := _names(image, filters, all_images, str(image.id) in everything.parents)) is None:
            continue
        shared = _shared(image, everything.layer_users) if shared_size else None
        found.append(ListedImage(image, *names, containers=len(users(image.id)), shared_size=shared))
    return sorted(found, key=lambda item: (-item.image.dated_ns, str(item.image.id)))


def usage(catalog: Catalog, users: Users) -> ImagesUsage:
    """`system df` for images."""
    listed = list_images(catalog, users, ImageFilters(), all_images=False, shared_size=True)
    sizes: dict[Digest, int] = {}
    for image in _read(catalog).images:
        sizes.update(zip(image.config.diff_ids, image.layer_sizes, strict=True))
    return ImagesUsage(tuple(listed), sum(sizes.values()))


def _read(catalog: Catalog) -> _All:
    with catalog.store.read() as tx:
        images = tuple(catalog.all(tx))
        parents = frozenset(key.partition("/")[0] for key, _ in tx.items(CHILDREN))
    users = Counter(str(diff_id) for image in images for diff_id in set(image.config.diff_ids))
    return _All(images, parents, users)


def _bounds(catalog: Catalog, filters: ImageFilters) -> tuple[int | None, int | None]:
    """Images must be older than the first time and newer than the second."""
    with catalog.store.read() as tx:
        before = [catalog.load(tx, catalog.find(name)).dated_ns for name in filters.before]
        since = [catalog.load(tx, catalog.find(name)).dated_ns for name in filters.since]
    if filters.until is not None:
        before.append(filters.until)
    return min(before, default=None), max(since, default=None)


def _names(
    image: Image, filters: ImageFilters, all_images: bool, has_children: bool
) -> tuple[tuple[Reference, ...], tuple[Reference, ...]] | None:
    """The names to show, or None when the image is not to be shown."""
    tags, digests = _matching(image.references, filters), _matching(image.digests, filters)
    if filters.dangling:
        return None if has_children or tags else (tags, digests)
    if not tags and not digests:
        hidden = has_children and not all_images
        return None if hidden or filters.dangling is False or filters.references else (tags, digests)
    return tags, digests


def _matching(names: Sequence[Reference], filters: ImageFilters) -> tuple[Reference, ...]:
    if not filters.references:
        return tuple(names)
    return tuple(name for name in names if any(_fits(name, pattern) for pattern in filters.references))


def _fits(name: Reference, pattern: str) -> bool:
    return any(
        compile_match(pattern).fullmatch(text) for text in (name.familiar(), name.familiar_name, str(name), name.name)
    )


def _shared(image: Image, layer_users: Counter[str]) -> int:
    sizes = zip(image.config.diff_ids, image.layer_sizes, strict=True)
    return sum(size for diff_id, size in sizes if layer_users[str(diff_id)] > 1)
