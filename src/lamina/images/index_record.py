"""What the store remembers of an index: images for several platforms, or an image with attestations, under one name.

The record of its main image names the index, and the index goes when that record no longer does.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from lamina.errors import Corrupt
from lamina.formats.digest import Digest
from lamina.store.transaction import ReadTransaction, Transaction

INDEXES = "index"  # bucket: digest of the index → IndexRecord
MEMBERS = "index-member"  # bucket: "<image ID>/<digest of the index>" → nothing, for all but the main image
UNNAMED = ""  # stands for a name in the record of an image whose last build gave it none


class IndexMember(msgspec.Struct, frozen=True):
    """An image in an index: the digest of its manifest there, and its ID."""

    manifest: str
    image: str


class IndexRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """The document kept for one index. Digests are canonical text.

    `main` is the image that the index means on this machine. `plain` tells that its manifests name uncompressed
    layers: a push makes a compressed index in its place.
    """

    main: str
    members: tuple[IndexMember, ...]
    plain: bool = False


def index_owner(digest: Digest) -> str:
    """Return the name under which an index holds its documents in the store."""
    return f"index:{digest}"


def read_index_record(tx: ReadTransaction, digest: Digest) -> IndexRecord | None:
    """Return the record of an index, or None. Raise Corrupt."""
    raw = tx.get(INDEXES, str(digest))
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw, type=IndexRecord)
    except msgspec.DecodeError as error:
        raise Corrupt(f"the record of index {digest} is damaged: {error}") from error


def write_index_record(tx: Transaction, digest: Digest, record: IndexRecord, content: Iterable[Digest]) -> None:
    """Write the record of an index that holds `content`: its documents, and blobs that only it needs.

    Raise NotFound for content that is not here.
    """
    tx.link(index_owner(digest), [digest, *content])
    tx.put(INDEXES, str(digest), msgspec.json.encode(record))
    for member in record.members:
        if member.image != record.main:
            tx.put(MEMBERS, f"{member.image}/{digest}", b"")


def drop_index_record(tx: Transaction, digest: Digest) -> None:
    """Forget an index and what it holds. Its images stay."""
    record = read_index_record(tx, digest)
    if record is None:
        return
    for member in record.members:
        tx.delete(MEMBERS, f"{member.image}/{digest}")
    tx.delete(INDEXES, str(digest))
    tx.unlink(index_owner(digest))


def indexes_of_member(tx: ReadTransaction, image_id: Digest) -> tuple[Digest, ...]:
    """Return the indexes that list this image beside their main one."""
    return tuple(Digest.parse(key.partition("/")[2]) for key, _ in tx.items(MEMBERS, f"{image_id}/"))


def members_of_indexes(tx: ReadTransaction) -> frozenset[str]:
    """Return the IDs of all images that are listed beside a main one."""
    return frozenset(key.partition("/")[0] for key, _ in tx.items(MEMBERS))
