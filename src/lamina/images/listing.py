"""What `images`, `history` and `system df` show: the images that fit filters, shared sizes, steps, totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from lamina.formats.digest import Digest
from lamina.formats.matching import compile_match, labels_match
from lamina.formats.reference import Reference
from lamina.formats.times import whole_seconds
from lamina.images.catalog import ImageCatalog
from lamina.images.filters import ImageFilters
from lamina.images.image import Image, Users, usable_time
from lamina.images.index_record import INDEXES, MEMBERS, members_of_indexes
from lamina.images.record import CHILDREN, IMAGES, read_record
from lamina.store.transaction import ReadTransaction

MISSING = "<missing>"  # Docker's ID for a step whose image is not here
_NO_FILTERS = ImageFilters()


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image in a list: the names that fitted the filters, how many containers use it, sizes in bytes.

    `shared_size` is the part of `image.size` in layers that other images have too; None where it was not asked for.
    """

    image: Image
    references: tuple[Reference, ...]
    digest_references: tuple[Reference, ...]
    containers: int
    shared_size: int | None = None

    @property
    def id(self) -> Digest:
        return self.image.id

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(name.familiar() for name in self.references)

    @property
    def digests(self) -> tuple[str, ...]:
        return tuple(name.familiar() for name in self.digest_references)

    @property
    def created(self) -> str:
        return whole_seconds(self.image.created)

    @property
    def size(self) -> int:
        return self.image.size

    @property
    def labels(self) -> Mapping[str, str]:
        return self.image.labels


@dataclass(frozen=True, slots=True)
class ImagesUsage:
    """What images take: `layers_size` is the bytes of the files in all layers, each layer once."""

    images: tuple[ListedImage, ...]
    layers_size: int


@dataclass(frozen=True)
class _AllImages:
    """Every image of the store, and what follows from all of them together."""

    images: tuple[Image, ...]
    hidden: frozenset[str]  # images that carry others, or are listed in an index beside its main image

    @cached_property
    def layer_users(self) -> Counter[Digest]:
        """Return how many images have each layer."""
        return Counter(diff_id for image in self.images for diff_id in set(image.config.diff_ids))

    @cached_property
    def layers_size(self) -> int:
        """Return the bytes of the files in all layers, each layer once."""
        sizes: dict[Digest, int] = {}
        for image in self.images:
            sizes.update(zip(image.config.diff_ids, image.layer_sizes, strict=True))
        return sum(sizes.values())


class Listing:
    """The lists of one engine's images. Thread-safe.

    Images are read again only after one has changed, and an item of a whole list is made anew only then or when the
    number of its containers has changed.
    """

    def __init__(self, catalog: ImageCatalog, users: Users) -> None:
        self._catalog = catalog
        self._users = users
        self._all: tuple[int, _AllImages] | None = None  # with the generation of the records
        self._whole: dict[tuple[bool, bool], tuple[_AllImages, list[ListedImage]]] = {}

    def select(self, filters: ImageFilters, *, all_images: bool, shared_size: bool) -> list[ListedImage]:
        """Return images that fit, newest first. Without `all_images` those that only carry others stay hidden."""
        everything = self._everything()
        if filters != _NO_FILTERS:
            return self._fitting(everything, filters, all_images=all_images, shared_size=shared_size)
        return self._unfiltered(everything, all_images=all_images, shared_size=shared_size)

    def _unfiltered(self, everything: _AllImages, *, all_images: bool, shared_size: bool) -> list[ListedImage]:
        key = all_images, shared_size
        previous = self._whole.get(key)
        if previous is None or previous[0] is not everything:
            items = self._fitting(everything, _NO_FILTERS, all_images=all_images, shared_size=shared_size)
        else:
            items = [self._recounted(item) for item in previous[1]]
        self._whole[key] = everything, items
        return list(items)

    def usage(self) -> ImagesUsage:
        """Return `system df` for images."""
        everything = self._everything()
        items = self._unfiltered(everything, all_images=False, shared_size=True)
        return ImagesUsage(tuple(items), everything.layers_size)

    def _everything(self) -> _AllImages:
        generation = self._catalog.store.generation(IMAGES, CHILDREN, INDEXES, MEMBERS)
        previous = self._all
        if previous is not None and previous[0] == generation:
            return previous[1]
        with self._catalog.store.read() as tx:
            everything = _AllImages(tuple(self._catalog.all(tx)), carried(tx))
        self._all = generation, everything
        return everything

    def _fitting(
        self, everything: _AllImages, filters: ImageFilters, *, all_images: bool, shared_size: bool
    ) -> list[ListedImage]:
        newest, oldest = _bounds(self._catalog, filters)
        items = []
        for image in everything.images:
            dated = image.dated_ns
            if (newest is not None and dated >= newest) or (oldest is not None and dated <= oldest):
                continue
            if not labels_match(image.labels, filters.labels):
                continue
            if (names := _names(image, filters, all_images, str(image.id) in everything.hidden)) is None:
                continue
            shared = _shared(image, everything.layer_users) if shared_size else None
            items.append(ListedImage(image, *names, containers=len(self._users(image.id)), shared_size=shared))
        return sorted(items, key=lambda item: (-item.image.dated_ns, str(item.image.id)))

    def _recounted(self, item: ListedImage) -> ListedImage:
        containers = len(self._users(item.image.id))
        return item if containers == item.containers else replace(item, containers=containers)


def carried(tx: ReadTransaction) -> frozenset[str]:
    """Return the IDs of images that others need: those they were made from, and those that an index lists."""
    return frozenset(key.partition("/")[0] for key, _ in tx.items(CHILDREN)) | members_of_indexes(tx)


def _bounds(catalog: ImageCatalog, filters: ImageFilters) -> tuple[int | None, int | None]:
    """Return two times: images must be older than the first and newer than the second."""
    with catalog.store.read() as tx:
        before = [catalog.load(tx, catalog.find(name)).dated_ns for name in filters.before]
        since = [catalog.load(tx, catalog.find(name)).dated_ns for name in filters.since]
    if filters.until is not None:
        before.append(filters.until)
    return min(before, default=None), max(since, default=None)


def _names(
    image: Image, filters: ImageFilters, all_images: bool, is_carried: bool
) -> tuple[tuple[Reference, ...], tuple[Reference, ...]] | None:
    """Return the names to show, or None when the image is not to be shown."""
    tags = _matching(image.references, filters)
    digests = _matching((*image.digest_references, *image.local_digests), filters)
    if filters.dangling:
        return None if is_carried or tags else (tags, digests)
    if not tags and not digests:
        hidden = is_carried and not all_images
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


def _shared(image: Image, layer_users: Counter[Digest]) -> int:
    sizes = zip(image.config.diff_ids, image.layer_sizes, strict=True)
    return sum(size for diff_id, size in sizes if layer_users[diff_id] > 1)


@dataclass(frozen=True, slots=True)
class HistoryStep:
    """One step. `id` is an image ID or `<missing>`; `size` the bytes of the files it added; `created` RFC 3339."""

    id: str
    created: str
    created_by: str
    references: tuple[Reference, ...]
    size: int
    comment: str

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(name.familiar() for name in self.references)


def history(catalog: ImageCatalog, tx: ReadTransaction, image: Image) -> list[HistoryStep]:
    """Return the steps of `image`; those whose image is in its chain of parents carry that image's ID and tags."""
    sizes = iter(image.layer_sizes)
    layer_sizes = [0 if step.empty_layer else next(sizes, 0) for step in image.config.history]
    steps: list[HistoryStep] = []
    current: Image | None = image
    for step, size in reversed(list(zip(image.config.history, layer_sizes, strict=True))):
        steps.append(
            HistoryStep(
                id=str(current.id) if current else MISSING,
                created=whole_seconds(usable_time(step.created, image.made)),
                created_by=step.created_by,
                references=current.references if current else (),
                size=size,
                comment=step.comment,
            )
        )
        current = _parent(catalog, tx, current)
    return steps


def _parent(catalog: ImageCatalog, tx: ReadTransaction, image: Image | None) -> Image | None:
    if image is None or image.parent is None or read_record(tx, image.parent) is None:
        return None
    return catalog.load(tx, image.parent)
