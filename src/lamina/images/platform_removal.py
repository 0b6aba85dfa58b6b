"""`rmi --platform`: taking images for some platforms out of an index, whose names then mean what is left of it.

The rest is a new index with a digest of its own. A single image without attestations needs none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from lamina.formats.digest import Digest
from lamina.formats.manifest import SUBJECT, Index
from lamina.formats.platform import Platform, choose
from lamina.formats.reference import Reference
from lamina.images.archive.save import documents_of, layer_blobs
from lamina.images.catalog import ImageCatalog, index_of
from lamina.images.image import Image, Users, check_platform
from lamina.images.index_record import UNNAMED, IndexMember, IndexRecord, write_index_record
from lamina.images.indexes import Indexes, LocalIndex
from lamina.images.record import add_names, read_record, remove_names, write_record
from lamina.images.remove import Removal, RemovalRun
from lamina.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class _Parting:
    """An index, the images that leave it, and what is left; `index` is None for a single image."""

    before: LocalIndex
    leaving: tuple[Image, ...]
    staying: tuple[tuple[Digest, Image], ...]
    index: Index | None
    main: Image


def remove_platforms(
    catalog: ImageCatalog, indexes: Indexes, users: Users, name: str, platforms: Sequence[Platform], *, force: bool
) -> list[Removal] | None:
    """Remove the images for these platforms from the index that `name` means, and return what went.

    None where nothing would be left of it, and for a single image: that is a removal of the whole. Raise NotFound when
    there is no image for any of the platforms, and Conflict for one that a container uses or that carries others.
    """
    while True:
        local = indexes.find(name)
        parting = _parted(local, platforms) if local is not None else None
        if local is None:
            with catalog.store.read() as tx:
                image = catalog.load(tx, catalog.find(name))
            if not any(image.platform.matches(platform) for platform in platforms):
                check_platform(image, str(platforms[0]))
        if parting is None:
            return None
        in_use = {image.id: users(image.id) for image in parting.leaving}
        with catalog.store.lease():
            if parting.index is not None:
                catalog.store.blobs.put(parting.index.raw)
            with catalog.store.transaction() as tx:
                if index_of(tx, name) != parting.before.index.digest:
                    continue  # the name moved in between
                _rename(catalog, tx, parting)
                run = RemovalRun(catalog, tx, in_use)
                for image in parting.leaving:
                    run.delete_member(image.id, force=force)
            return run.report(set(tx.dropped))


def _parted(local: LocalIndex, platforms: Sequence[Platform]) -> _Parting | None:
    """Return what becomes of an index. Raise NotFound where no image fits."""
    leaving = [
        (digest, image)
        for digest, image in local.images
        if any(image.platform.matches(platform) for platform in platforms)
    ]
    if not leaving:
        check_platform(local.main, str(platforms[0]))
    staying = tuple(pair for pair in local.images if pair not in leaving)
    if not staying:
        return None
    gone = {str(digest) for digest, _ in leaving}
    entries = [
        entry for entry in local.index.manifests if not {str(entry.digest), entry.annotations.get(SUBJECT)} & gone
    ]
    whole = Index.build(entries, local.index.media_type, annotations=local.index.annotations)
    _, main = staying[choose(Platform.host(), [image.platform for _, image in staying]) or 0]
    return _Parting(local, tuple(image for _, image in leaving), staying, whole if len(entries) > 1 else None, main)


def _rename(catalog: ImageCatalog, tx: Transaction, parting: _Parting) -> None:
    """Let all names of the index mean what is left of it."""
    old = parting.before
    record = read_record(tx, old.main.id)
    names = [Reference.parse(name) for name, digest in (record.indexes if record else {}).items() if name]
    names = [name for name in names if record and record.indexes[str(name)] == str(old.index.digest)]
    pinned = [str(name) for name in old.main.digest_references if name.digest == old.index.digest]
    if parting.index is None:
        remove_names(tx, old.main.id, pinned)
        add_names(tx, parting.main.id, names)
        return
    members = tuple(IndexMember(str(manifest), str(image.id)) for manifest, image in parting.staying)
    rest = LocalIndex(parting.index, parting.staying, parting.main, old.plain)
    content = {*documents_of(rest, catalog.store), *(() if old.plain else layer_blobs(rest, catalog.store))}
    blobs = [digest for digest in content if catalog.store.blobs.has(digest)]
    write_index_record(tx, parting.index.digest, IndexRecord(str(parting.main.id), members, old.plain), blobs)
    remove_names(tx, old.main.id, pinned)
    add_names(tx, parting.main.id, names, parting.index.digest)
    main = read_record(tx, parting.main.id)
    if not names and main is not None:  # an index that a build left without a name
        indexes = {**main.indexes, UNNAMED: str(parting.index.digest)}
        write_record(tx, parting.main.id, msgspec.structs.replace(main, indexes=indexes))
