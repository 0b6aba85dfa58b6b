"""What the store remembers of an image beside its config: names, parent, manifest, sizes, local times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from lamina.errors import Corrupt, InvalidInput, NotFound
from lamina.formats.digest import LENGTHS, Digest
from lamina.formats.reference import Reference
from lamina.formats.times import now
from lamina.images.index_record import UNNAMED, drop_index_record, read_index_record
from lamina.store.transaction import ReadTransaction, Transaction

IMAGES = "image"  # bucket: image ID → ImageRecord
REFERENCES = "reference"  # bucket: canonical reference → image ID
CHILDREN = "image-child"  # bucket: "<parent ID>/<child ID>" → nothing


class ImageRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """The document kept for one image. Digests and references as canonical text; times RFC 3339, UTC."""

    made: str  # when this store first saw the image
    layer_sizes: tuple[int, ...] = ()  # bytes of the files in each layer, bottom first
    tar_sizes: tuple[int, ...] = ()  # bytes of each layer's tar
    references: tuple[str, ...] = ()  # sorted
    parent: str = ""
    manifest: str = ""
    local_manifest: str = ""  # the digest of a manifest that names its layers uncompressed
    tagged: str = ""
    built: str = ""  # when a build here last made it
    indexes: Mapping[str, str] = {}  # name → digest of the index that it means; UNNAMED for a build without a name


def owner(image_id: Digest) -> str:
    """Return the name under which an image holds its content in the store."""
    return f"image:{image_id}"


def read_record(tx: ReadTransaction, image_id: Digest) -> ImageRecord | None:
    """Return the record of an image, or None."""
    raw = tx.get(IMAGES, str(image_id))
    return None if raw is None else decode(raw)


def write_record(tx: Transaction, image_id: Digest, record: ImageRecord) -> None:
    """Write an image's record and the buckets that follow from it. Indexes that it no longer names are forgotten."""
    before = read_record(tx, image_id)
    named = {name: digest for name, digest in record.indexes.items() if name in (UNNAMED, *record.references)}
    record = msgspec.structs.replace(record, indexes=named)
    _forget_indexes(tx, before, named)
    for removed_name in set(before.references if before else ()) - set(record.references):
        tx.delete(REFERENCES, removed_name)
    for name in record.references:
        tx.put(REFERENCES, name, str(image_id).encode())
    if before and before.parent and before.parent != record.parent:
        tx.delete(CHILDREN, f"{before.parent}/{image_id}")
    if record.parent:
        tx.put(CHILDREN, f"{record.parent}/{image_id}", b"")
    tx.put(IMAGES, str(image_id), msgspec.json.encode(record))


def delete_record(tx: Transaction, image_id: Digest) -> None:
    """Forget an image, its names, and what it holds."""
    record = read_record(tx, image_id)
    if record is None:
        return
    _forget_indexes(tx, record, {})
    for name in record.references:
        tx.delete(REFERENCES, name)
    if record.parent:
        tx.delete(CHILDREN, f"{record.parent}/{image_id}")
    tx.delete(IMAGES, str(image_id))
    tx.unlink(owner(image_id))


def _forget_indexes(tx: Transaction, before: ImageRecord | None, named: Mapping[str, str]) -> None:
    for digest in set(before.indexes.values() if before else ()) - set(named.values()):
        drop_index_record(tx, Digest.parse(digest))


def forget_index(tx: Transaction, digest: Digest) -> None:
    """Forget an index; its names mean its main image alone from now on."""
    index = read_index_record(tx, digest)
    if index is None:
        return
    drop_index_record(tx, digest)
    main = read_record(tx, Digest.parse(index.main))
    if main is not None:
        indexes = {name: other for name, other in main.indexes.items() if other != str(digest)}
        write_record(tx, Digest.parse(index.main), msgspec.structs.replace(main, indexes=indexes))


def children(tx: ReadTransaction, image_id: Digest) -> tuple[Digest, ...]:
    """Return the images whose parent this one is."""
    return tuple(Digest.parse(key.partition("/")[2]) for key, _ in tx.items(CHILDREN, f"{image_id}/"))


def decode(raw: bytes) -> ImageRecord:
    """Return the record in `raw`. Raise Corrupt."""
    try:
        return msgspec.json.decode(raw, type=ImageRecord)
    except msgspec.DecodeError as error:
        raise Corrupt(f"an image's record is damaged: {error}") from error


def check_tag(reference: Reference) -> Reference:
    """Return the reference as a tag, `latest` where it has none. Raise InvalidInput for what must not be a tag."""
    if reference.digest is not None:
        raise InvalidInput("refusing to create a tag with a digest reference", reference=str(reference))
    if reference.familiar_name in LENGTHS:
        raise InvalidInput(
            f"refusing to create an ambiguous tag using digest algorithm as name: {reference.familiar()}",
            reference=str(reference),
        )
    return reference.with_default_tag()


def add_names(
    tx: Transaction, image_id: Digest, references: Iterable[Reference], index: Digest | None = None
) -> dict[str, Digest]:
    """Let these names mean `image_id`; they are taken from the images that had them (name → old ID, given back).

    With `index` they mean that index, whose main image this is. Raise NotFound when there is no such image.
    """
    old_ids: dict[str, Digest] = {}
    names = [str(reference) for reference in references]
    for name in names:
        holder = tx.get(REFERENCES, name)
        if holder is not None and (old := Digest.parse(holder.decode())) != image_id:
            remove_names(tx, old, [name])
            old_ids[name] = old
    record = read_record(tx, image_id)
    if record is None:
        raise NotFound(f"No such image: {image_id}", reference=str(image_id))
    together = tuple(sorted({*record.references, *names}))
    indexes = {name: digest for name, digest in record.indexes.items() if name not in names}
    if index is not None:
        indexes |= dict.fromkeys(names, str(index))
    write_record(tx, image_id, msgspec.structs.replace(record, references=together, tagged=now(), indexes=indexes))
    return old_ids


def remove_names(tx: Transaction, image_id: Digest, names: Iterable[str]) -> None:
    """Take canonical names away from an image that stays."""
    record = read_record(tx, image_id)
    if record is not None:
        removed_names = set(names)
        remaining = tuple(name for name in record.references if name not in removed_names)
        write_record(tx, image_id, msgspec.structs.replace(record, references=remaining))
