"""The compressed blobs that stand for a layer, and the repositories that have them.

Pushes use it to mount a blob from another repository, or to find it there already, without compressing anything.
Only what was seen to hold a layer is noted: the registry knows whether it has a blob, but not what is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from lamina.formats.descriptor import Descriptor
from lamina.formats.digest import Digest
from lamina.formats.reference import Reference
from lamina.store.store import Store

BUCKET = "distribution.sources"
KEPT = 20  # places for each layer; the newest stay


class BlobSource(msgspec.Struct, frozen=True):
    """A compressed form of a layer, and a repository that had it."""

    domain: str
    path: str
    digest: str
    size: int
    media_type: str

    @property
    def descriptor(self) -> Descriptor:
        """Return the blob."""
        return Descriptor(self.media_type, Digest.parse(self.digest), self.size)


def remember(store: Store, reference: Reference, layers: Iterable[tuple[Digest, Descriptor]]) -> None:
    """Note that the repository of `reference` has these blobs, which hold these layers."""
    with store.transaction() as transaction:
        for diff_id, blob in layers:
            new = BlobSource(reference.domain, reference.path, str(blob.digest), blob.size, blob.media_type)
            others = [source for source in _decode(transaction.get(BUCKET, str(diff_id))) if source != new]
            transaction.put(BUCKET, str(diff_id), msgspec.json.encode([new, *others][:KEPT]))


def sources(store: Store, diff_id: Digest, domain: str) -> Iterator[BlobSource]:
    """Yield the places at the registry `domain` that had this layer, newest first."""
    with store.read() as transaction:
        raw = transaction.get(BUCKET, str(diff_id))
    for source in _decode(raw):
        if source.domain == domain:
            yield source


def form(store: Store, diff_id: Digest, digest: Digest) -> Descriptor | None:
    """Return what is known of the compressed form `digest` of a layer."""
    with store.read() as transaction:
        raw = transaction.get(BUCKET, str(diff_id))
    return next((source.descriptor for source in _decode(raw) if source.digest == str(digest)), None)


def is_form(store: Store, diff_id: Digest, digest: Digest) -> bool:
    """Return whether the blob `digest` is known to hold the layer."""
    recorded = digest == diff_id or form(store, diff_id, digest) is not None
    return recorded or digest in store.blobs.cached_forms(diff_id)


def _decode(raw: bytes | None) -> list[BlobSource]:
    return msgspec.json.decode(raw, type=list[BlobSource]) if raw else []
