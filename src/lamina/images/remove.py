"""Untag, delete, prune: what `rmi` and `image prune` mean (dockerd's rules); a transaction decides each removal.

A name is taken away. When it was the last one, the image goes, and with it its parents that have neither name nor
child nor container. An index goes with its last name, and its images for other platforms with it. Layers that nobody
else needs go with the commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from lamina.cancellation import NEVER, Cancellation
from lamina.errors import Conflict, InvalidInput, NotFound
from lamina.formats.config import chain_ids
from lamina.formats.digest import Digest
from lamina.formats.matching import labels_match
from lamina.formats.reference import Reference
from lamina.images.catalog import ImageCatalog, find
from lamina.images.filters import ImageFilters
from lamina.images.image import Image, ImageUser, Users
from lamina.images.index_record import indexes_of_member, read_index_record
from lamina.images.listing import carried
from lamina.images.record import children, delete_record, read_record, remove_names
from lamina.store.transaction import ReadTransaction, Transaction


@dataclass(frozen=True, slots=True)
class Untagged:
    """A name that no longer leads to the image; `reference` in its familiar form."""

    reference: str
    image_id: Digest

    @property
    def untagged(self) -> str:
        return self.reference

    @property
    def deleted(self) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Deleted:
    """An image, or the chain ID of a layer, that is gone. `is_image` tells which; `reclaimed` in bytes of files."""

    digest: Digest
    is_image: bool = True
    reclaimed: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def untagged(self) -> str:
        return ""

    @property
    def deleted(self) -> str:
        return str(self.digest)


Removal = Untagged | Deleted


@dataclass(frozen=True, slots=True)
class _Wish:
    name: str
    by_id: bool
    force: bool
    prune: bool


def remove(catalog: ImageCatalog, users: Users, name: str, *, force: bool, prune: bool) -> list[Removal]:
    """Remove what `name` means; `prune` takes unneeded parents along. Raise NotFound, and Conflict naming the user."""
    return _run(catalog, catalog.store.transaction, users, name, force=force, prune=prune)


def plan(catalog: ImageCatalog, users: Users, name: str, *, force: bool, prune: bool) -> Pruned:
    """Return what `remove` would do, and raise what it would raise. Nothing is changed."""
    removed = _run(catalog, catalog.store.rehearsal, users, name, force=force, prune=prune)
    return Pruned(tuple(removed), _reclaimed(removed))


def _run(
    catalog: ImageCatalog,
    transaction: Callable[[], AbstractContextManager[Transaction]],
    users: Users,
    name: str,
    *,
    force: bool,
    prune: bool,
) -> list[Removal]:
    while True:
        image_id = catalog.find(name)
        by_id = str(image_id).startswith(name) or image_id.encoded.startswith(name)
        in_use = _users_of_line(catalog, users, image_id)
        with transaction() as tx:
            if find(tx, name) != image_id:
                continue  # the name moved in between
            work = RemovalRun(catalog, tx, in_use)
            work.run(image_id, _Wish(name, by_id, force, prune))
        return work.report(set(tx.dropped))


def _users_of_line(catalog: ImageCatalog, users: Users, image_id: Digest) -> dict[Digest, Sequence[ImageUser]]:
    """Return the containers of an image, of its ancestors, and of the images for other platforms under its names.

    They are asked for before the transaction, so that no lock is held.
    """
    users_by_image: dict[Digest, Sequence[ImageUser]] = {}
    current: Digest | None = image_id
    with catalog.store.read() as tx:
        users_by_image |= {member: users(member) for member in _members(tx, image_id)}
        while current is not None and current not in users_by_image:
            users_by_image[current] = users(current)
            record = read_record(tx, current)
            current = Digest.parse(record.parent) if record and record.parent else None
    return users_by_image


class RemovalRun:
    """One removal inside its transaction."""

    def __init__(self, catalog: ImageCatalog, tx: Transaction, users: dict[Digest, Sequence[ImageUser]]) -> None:
        self._catalog = catalog
        self._tx = tx
        self._users = users
        self._done: list[Removal] = []
        self._layers: list[tuple[int, tuple[Digest, ...], tuple[int, ...]]] = []
        self._orphans: list[Digest] = []  # images of indexes that went

    def run(self, image_id: Digest, wish: _Wish) -> None:
        self._remove(image_id, wish)
        for orphan in self._orphans:
            if not self._names(orphan) and not indexes_of_member(self._tx, orphan) and read_record(self._tx, orphan):
                self._delete(orphan, _Wish("", True, wish.force, wish.prune), quiet=True)

    def delete_member(self, image_id: Digest, *, force: bool) -> None:
        """Remove an image that has just left an index, unless it has a name or stands in another. Raise Conflict."""
        if read_record(self._tx, image_id) and not self._names(image_id) and not indexes_of_member(self._tx, image_id):
            self._delete(image_id, _Wish("", True, force, True), quiet=False)

    def _remove(self, image_id: Digest, wish: _Wish) -> None:
        names = self._names(image_id)
        if wish.by_id:
            if _one_repository(names):
                self._check(image_id, soft=not wish.force, names=())
                self._untag(image_id, names)
            self._delete(image_id, wish, quiet=False)
            return
        users = self._users.get(image_id, ())
        if not wish.force and _one_repository(names) and users:
            raise Conflict(
                f"conflict: unable to remove repository reference {_quoted(wish.name)} (must force) - "
                f"container {users[0].container_id[:12]} is using its referenced image {image_id.short}",
                container=users[0].container_id,
                image=image_id,
            )
        self._untag(image_id, _names_to_take(names, wish.name))
        if not self._names(image_id):
            self._delete(image_id, wish, quiet=True)

    def report(self, dropped: set[Digest]) -> list[Removal]:
        """Return what happened, in order: after each image the chain IDs of the layers that went with it."""
        report = list(self._done)
        for position, diff_ids, sizes in reversed(self._layers):
            chains = chain_ids(diff_ids)
            positions = [n for n, diff_id in enumerate(diff_ids) if diff_id in dropped]
            dropped -= set(diff_ids)
            report[position:position] = [
                Deleted(Digest.parse(chains[n]), is_image=False, reclaimed=sizes[n]) for n in reversed(positions)
            ]
        return report

    def _names(self, image_id: Digest) -> tuple[Reference, ...]:
        record = read_record(self._tx, image_id)
        return tuple(Reference.parse(text) for text in record.references) if record else ()

    def _untag(self, image_id: Digest, names: Sequence[Reference]) -> None:
        before = _members(self._tx, image_id)
        remove_names(self._tx, image_id, [str(name) for name in names])
        self._orphans += [member for member in before if member not in _members(self._tx, image_id)]
        self._done.extend(Untagged(name.familiar(), image_id) for name in names)

    def _delete(self, image_id: Digest, wish: _Wish, *, quiet: bool) -> None:
        names = self._names(image_id)
        try:
            self._check(image_id, soft=not wish.force, names=names)
        except Conflict as conflict:
            dangling = not names and not children(self._tx, image_id)
            if quiet and (not dangling or "container" in conflict.facts):
                return
            raise
        image = self._catalog.load(self._tx, image_id)
        self._untag(image_id, names)
        self._orphans += _members(self._tx, image_id)
        delete_record(self._tx, image_id)
        self._done.append(Deleted(image_id, labels=image.labels))
        self._layers.append((len(self._done), image.config.diff_ids, image.layer_sizes))
        if wish.prune and image.parent is not None and read_record(self._tx, image.parent):
            self._delete(image.parent, _Wish("", True, False, True), quiet=True)

    def _check(self, image_id: Digest, *, soft: bool, names: Sequence[Reference]) -> None:
        """Raise the first conflict: hard ones always, those that force overcomes only where `soft`."""
        users = self._users.get(image_id, ())
        running = next((user for user in users if user.running), None)
        stopped = next((user for user in users if not user.running), None)
        if children(self._tx, image_id):
            raise _conflict(image_id, "cannot be forced", "image has dependent child images")
        if indexes := indexes_of_member(self._tx, image_id):
            raise _conflict(image_id, "cannot be forced", f"image is one of the platforms of {indexes[0].short}")
        if running:
            raise _used(image_id, "cannot be forced", "running", running)
        if soft and names:
            raise _conflict(image_id, "must be forced", "image is referenced in multiple repositories")
        if soft and stopped:
            raise _used(image_id, "must be forced", "stopped", stopped)


def _members(tx: ReadTransaction, image_id: Digest) -> list[Digest]:
    """Return the images that are listed beside this one in the indexes that its names mean."""
    record = read_record(tx, image_id)
    indexes = [read_index_record(tx, Digest.parse(text)) for text in set(record.indexes.values() if record else ())]
    members = {member.image for index in indexes if index for member in index.members}
    return [Digest.parse(text) for text in sorted(members - {str(image_id)})]


def _conflict(image_id: Digest, force: str, why: str, **facts: str) -> Conflict:
    return Conflict(f"conflict: unable to delete {image_id.short} ({force}) - {why}", image=image_id, **facts)


def _used(image_id: Digest, force: str, state: str, user: ImageUser) -> Conflict:
    why = f"image is being used by {state} container {user.container_id[:12]}"
    return _conflict(image_id, force, why, container=user.container_id)


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _one_repository(names: Sequence[Reference]) -> bool:
    """Return whether all names are of one repository, with at most one tag among them."""
    tags = [name for name in names if name.digest is None]
    return bool(names) and len(tags) <= 1 and len({name.name for name in names}) == 1


def _names_to_take(names: Sequence[Reference], name: str) -> list[Reference]:
    """Return the name that was given, and the digests of its repository when that leaves them without a tag."""
    reference = Reference.parse(name)
    reference = reference.with_digest(reference.digest) if reference.digest else reference.with_default_tag()
    if reference.digest and reference not in names:  # the digest of an index: its tags are its names
        return [other for other in names if other.name == reference.name and other.tag]
    if reference not in names:
        raise InvalidInput(f"{name} is not a name of the image", reference=name)
    kin = [other for other in names if other.name == reference.name and other != reference]
    if reference.digest is None and not any(other.digest is None for other in kin):
        return [reference, *kin]
    return [reference]


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a prune removed; `reclaimed` is the bytes of the files in the removed layers, as Docker counts."""

    removed: tuple[Removal, ...]
    reclaimed: int


def prune(
    catalog: ImageCatalog,
    filters: ImageFilters,
    remove: Callable[[str], list[Removal]],
    cancellation: Cancellation = NEVER,
) -> Pruned:
    """Remove images without a tag, or with `dangling=false` all that no container uses; then collect content.

    `remove` is how one name goes away; what is in use stays, silently.
    """
    removed: list[Removal] = []
    for image in _candidates(catalog, filters):
        cancellation.check()
        for name in _names_of(image, dangling_only=filters.dangling is not False):
            try:
                removed.extend(remove(name))
            except (Conflict, NotFound):
                continue  # in use, or gone since with an image that stood on it
    catalog.store.collect()
    return Pruned(tuple(removed), _reclaimed(removed))


def _reclaimed(removed: Iterable[Removal]) -> int:
    return sum(item.reclaimed for item in removed if isinstance(item, Deleted))


def _candidates(catalog: ImageCatalog, filters: ImageFilters) -> list[Image]:
    with catalog.store.read() as tx:
        images = list(catalog.all(tx))
        needed = carried(tx)
    return [image for image in images if _is_unneeded(image, filters, str(image.id) in needed)]


def _is_unneeded(image: Image, filters: ImageFilters, is_carried: bool) -> bool:
    named = bool(image.references or image.digests)
    if is_carried and (filters.dangling is not False or not named):
        return False
    if filters.until is not None and image.dated_ns > filters.until:
        return False
    return labels_match(image.labels, filters.labels)


def _names_of(image: Image, *, dangling_only: bool) -> list[str]:
    """Return what to remove so that the image goes: its names, or its ID where it has none."""
    if dangling_only and image.references:
        return []
    return [str(name) for name in (*image.references, *image.digests)] or [str(image.id)]
