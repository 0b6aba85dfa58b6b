"""What `images`, `history` and `system df` show: filters, the images that fit them, shared sizes, steps, totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lamina.errors import InvalidInput
from lamina.formats.digest import Digest
from lamina.formats.matching import Filters, compile_match, labels_match
from lamina.formats.reference import Reference
from lamina.formats.times import parse_moment, whole_seconds
from lamina.images.catalog import ImageCatalog
from lamina.images.image import Image, Users, usable_time
from lamina.images.index_record import members_of_indexes
from lamina.images.record import CHILDREN, read_record
from lamina.store.transaction import ReadTransaction

LIST_FILTERS = frozenset({"dangling", "label", "before", "since", "reference", "until"})
PRUNE_FILTERS = frozenset({"dangling", "label", "label!", "until"})
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})
MISSING = "<missing>"  # Docker's ID for a step whose image is not here


@dataclass(frozen=True, slots=True)
class ImageFilters:
    """What to look for. `labels` has the filters `label` and `label!`, `before` and `since` name images.

    `until` is in nanoseconds since the epoch.
    """

    dangling: bool | None = None
    labels: Filters = field(default_factory=dict)
    before: tuple[str, ...] = ()
    since: tuple[str, ...] = ()
    until: int | None = None
    references: tuple[str, ...] = ()

    @classmethod
    def parse(cls, filters: Filters, accepted: frozenset[str]) -> ImageFilters:
        """Read Docker's filters. Raise InvalidInput for a filter that is not accepted here, or an impossible value."""
        for name in filters:
            if name not in accepted:
                raise InvalidInput(f"invalid filter '{name}'", advice=f"Known are {', '.join(sorted(accepted))}.")
        return cls(
            dangling=_boolean(filters.get("dangling", ())),
            labels={name: filters[name] for name in ("label", "label!") if name in filters},
            before=tuple(filters.get("before", ())),
            since=tuple(filters.get("since", ())),
            until=min((parse_moment(text) for text in filters.get("until", ())), default=None),
            references=tuple(_pattern(text) for text in filters.get("reference", ())),
        )


def _boolean(values: Sequence[str]) -> bool | None:
    if not values:
        return None
    if len(set(values)) == 1 and values[0] in _TRUE | _FALSE:
        return values[0] in _TRUE
    raise InvalidInput(f"invalid filter 'dangling={values[0]}'", advice="Write true or false.")


def _pattern(text: str) -> str:
    try:
        compile_match(text)
    except InvalidInput as error:
        raise InvalidInput(f"invalid filter 'reference={text}': {error.message}") from None
    return text


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


@dataclass(frozen=True, slots=True)
class _All:
    images: tuple[Image, ...]
    hidden: frozenset[str]  # images that carry others, or are listed in an index beside its main image

    def layer_users(self) -> Counter[Digest]:
        """Return how many images have each layer."""
        return Counter(diff_id for image in self.images for diff_id in set(image.config.diff_ids))


def list_images(
    catalog: ImageCatalog, users: Users, filters: ImageFilters, *, all_images: bool, shared_size: bool
) -> list[ListedImage]:
    """Return images that fit, newest first. Without `all_images` those that only carry others stay hidden."""
    return _list(_read(catalog), catalog, users, filters, all_images=all_images, shared_size=shared_size)


def _list(
    everything: _All,
    catalog: ImageCatalog,
    users: Users,
    filters: ImageFilters,
    *,
    all_images: bool,
    shared_size: bool,
) -> list[ListedImage]:
    newest, oldest = _bounds(catalog, filters)
    layer_users = everything.layer_users() if shared_size else Counter()
    listed = []
    for image in everything.images:
        dated = image.dated_ns
        if (newest is not None and dated >= newest) or (oldest is not None and dated <= oldest):
            continue
        if not labels_match(image.labels, filters.labels):
            continue
        if (names := _names(image, filters, all_images, str(image.id) in everything.hidden)) is None:
            continue
        shared = _shared(image, layer_users) if shared_size else None
        listed.append(ListedImage(image, *names, containers=len(users(image.id)), shared_size=shared))
    return sorted(listed, key=lambda item: (-item.image.dated_ns, str(item.image.id)))


def usage(catalog: ImageCatalog, users: Users) -> ImagesUsage:
    """Return `system df` for images."""
    everything = _read(catalog)
    listed = _list(everything, catalog, users, ImageFilters(), all_images=False, shared_size=True)
    sizes: dict[Digest, int] = {}
    for image in everything.images:
        sizes.update(zip(image.config.diff_ids, image.layer_sizes, strict=True))
    return ImagesUsage(tuple(listed), sum(sizes.values()))


def _read(catalog: ImageCatalog) -> _All:
    with catalog.store.read() as tx:
        images = tuple(catalog.all(tx))
        hidden = carried(tx)
    return _All(images, hidden)


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
    tags, digests = _matching(image.references, filters), _matching(image.digest_references, filters)
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
