"""Indexes that are kept here: several images under one name, one for each platform, and their attestations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from lamina.errors import NotFound
from lamina.formats.descriptor import Descriptor
from lamina.formats.digest import Digest
from lamina.formats.document import decode_object
from lamina.formats.manifest import SUBJECT, Index, Manifest
from lamina.formats.platform import Platform, choose
from lamina.formats.reference import Reference
from lamina.images.catalog import ImageCatalog, index_of
from lamina.images.image import Image
from lamina.images.index_record import UNNAMED, IndexMember, IndexRecord, read_index_record, write_index_record
from lamina.images.record import add_names, read_record, write_record
from lamina.store.transaction import ReadTransaction

PREDICATE_TYPE = "in-toto.io/predicate-type"  # annotation of a statement's blob
_STATEMENT = 64 << 20  # bytes


@dataclass(frozen=True, slots=True)
class NewIndex:
    """What is to be kept as an index. Its images are here already.

    `images` has the image of each manifest in the index that is one. `documents` are manifests, and what manifests of
    attestations name. `blobs` are in the store, and the index is to hold them. `plain` is as in `IndexRecord`.
    """

    index: Index
    images: Sequence[tuple[Digest, Image]]
    documents: Sequence[bytes] = ()
    blobs: Sequence[Digest] = ()
    plain: bool = False


@dataclass(frozen=True, slots=True)
class LocalIndex:
    """An index of this store, and its images by the digests of their manifests, in the index's order."""

    index: Index
    images: tuple[tuple[Digest, Image], ...]
    main: Image
    plain: bool

    def entry(self, manifest: Digest) -> Descriptor:
        """Return what the index says of a manifest. Raise NotFound."""
        for entry in self.index.manifests:
            if entry.digest == manifest:
                return entry
        raise NotFound(f"the index {self.index.digest} has no manifest {manifest}")

    def attestations(self, manifest: Digest) -> tuple[Descriptor, ...]:
        """Return the manifests of attestations about an image's manifest."""
        return tuple(e for e in self.index.manifests if e.annotations.get(SUBJECT) == str(manifest))

    def image_for(self, platform: Platform) -> Image | None:
        """Return the image for a platform with the index's names beside its own, None where there is none."""
        image = next((image for _, image in self.images if image.platform.matches(platform)), None)
        if image is None or image.id == self.main.id:
            return image
        names = [name for name in self.main.references if self.main.indexes.get(str(name)) == self.index.digest]
        digests = [name.without_tag().with_digest(self.index.digest) for name in names]
        return replace(
            image,
            references=tuple(dict.fromkeys((*names, *image.references))),
            digest_references=tuple(dict.fromkeys((*digests, *image.digest_references))),
        )


@dataclass(frozen=True, slots=True)
class ListedManifest:
    """A manifest that a name leads to: of an image, or of what is attested about the manifest `about`."""

    entry: Descriptor
    manifest: Manifest
    image: Image | None = None
    about: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """An in-toto statement about an image, as a blob of the store; `statement` is empty unless it was read."""

    blob: Descriptor
    statement: Mapping[str, object] = field(default_factory=dict)

    @property
    def predicate_type(self) -> str:
        return self.blob.annotations.get(PREDICATE_TYPE, "")

    @property
    def digest(self) -> Digest:
        return self.blob.digest


class Indexes:
    """The indexes of one store. Thread-safe."""

    def __init__(self, catalog: ImageCatalog) -> None:
        self._catalog = catalog

    def create(self, new: NewIndex, references: Sequence[Reference] = ()) -> LocalIndex:
        """Keep an index, and let these names mean it. Without a name it stays until its main image goes or is rebuilt.

        The main image is the one for this machine, or the first. Raise NotFound for an image that was removed, NoSpace.
        """
        store = self._catalog.store
        platforms = [image.platform for _, image in new.images]
        _, main = new.images[choose(Platform.host(), platforms) or 0]
        members = tuple(IndexMember(str(manifest), str(image.id)) for manifest, image in new.images)
        record = IndexRecord(str(main.id), members, new.plain)
        with store.lease():
            documents = [store.blobs.put(raw) for raw in (new.index.raw, *new.documents)]
            with store.transaction() as tx:
                write_index_record(tx, new.index.digest, record, [*documents, *new.blobs])
                if references:
                    add_names(tx, main.id, references, new.index.digest)
                elif (known := read_record(tx, main.id)) is not None:
                    indexes = {**known.indexes, UNNAMED: str(new.index.digest)}
                    write_record(tx, main.id, msgspec.structs.replace(known, indexes=indexes))
                return self._load(tx, new.index.digest)

    def find(self, name: str) -> LocalIndex | None:
        """Return the index that a name or a digest means, None where it means an image alone. Raise NotFound."""
        with self._catalog.store.read() as tx:
            digest = index_of(tx, name)
            return None if digest is None else self._load(tx, digest)

    def images(self, index: LocalIndex) -> Sequence[Digest]:
        """Return all content that the index's images need, to hold it by a lease."""
        return [digest for _, image in index.images for digest in (image.id, *image.config.diff_ids)]

    def listed(self, index: LocalIndex) -> list[ListedManifest]:
        """Return all manifests of an index, in its order. Raise NotFound, Corrupt."""
        images = dict(index.images)
        return [
            ListedManifest(
                entry, self.manifest(entry.digest), images.get(entry.digest), entry.annotations.get(SUBJECT, "")
            )
            for entry in index.index.manifests
        ]

    def statements(self, index: LocalIndex, image: Image, types: Sequence[str], *, read: bool) -> list[Statement]:
        """Return what an index attests of one of its images. Raise NotFound, Corrupt."""
        manifests = [manifest for manifest, each in index.images if each.id == image.id]
        about = [entry for manifest in manifests for entry in index.attestations(manifest)]
        blobs = [blob for entry in about for blob in self.manifest(entry.digest).layers]
        chosen = [Statement(blob) for blob in blobs if not types or blob.annotations.get(PREDICATE_TYPE) in types]
        return [replace(each, statement=self._document(each.digest)) for each in chosen] if read else chosen

    def _document(self, digest: Digest) -> Mapping[str, object]:
        return decode_object(self._catalog.store.blobs.read(digest, _STATEMENT), "statement")

    def manifest(self, digest: Digest) -> Manifest:
        """Return a manifest of an index that is kept here. Raise NotFound, Corrupt."""
        return Manifest.parse(self._catalog.store.blobs.read(digest))

    def _load(self, tx: ReadTransaction, digest: Digest) -> LocalIndex:
        record = read_index_record(tx, digest)
        if record is None:
            raise NotFound(f"No such index: {digest}")
        index = Index.parse(self._catalog.store.blobs.read(digest))
        images = tuple(
            (Digest.parse(member.manifest), self._catalog.load(tx, Digest.parse(member.image)))
            for member in record.members
        )
        main = next(image for _, image in images if str(image.id) == record.main)
        return LocalIndex(index, images, main, record.plain)
