"""Finding images: the one path from the store's records to Image values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from lamina.errors import InvalidInput, NotFound
from lamina.formats.config import ImageConfig
from lamina.formats.descriptor import Descriptor
from lamina.formats.digest import Digest
from lamina.formats.manifest import Manifest
from lamina.formats.reference import Reference
from lamina.images.image import Image, plain_manifest
from lamina.images.index_record import INDEXES, UNNAMED, IndexRecord, read_index_record
from lamina.images.record import IMAGES, REFERENCES, ImageRecord, decode, delete_record, forget_index, read_record
from lamina.lru import LruCache
from lamina.store.store import Store
from lamina.store.transaction import ReadTransaction

_ID = re.compile(r"(?:sha256:)?([0-9a-f]{1,64})")
_CONFIGS_KEPT = 16_384  # a list of more images than this makes all of them anew each time


class ImageCatalog:
    """Reads images out of a store. Thread-safe; parsed configs are kept in memory, they never change."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._configs: LruCache[Digest, ImageConfig] = LruCache(_CONFIGS_KEPT)
        self._images: LruCache[str, tuple[bytes, Image]] = LruCache(_CONFIGS_KEPT)  # with the record each is made of
        self._descriptors: LruCache[tuple[Digest, Digest | None], Descriptor] = LruCache(_CONFIGS_KEPT)

    def find(self, name: str) -> Digest:
        """Return the ID behind a tag, `name@digest`, full ID or unique prefix of one.

        A tag comes before an ID that begins alike, as in Docker. Raise NotFound with `facts["reference"]`, and
        InvalidInput for what cannot be a name.
        """
        with self.store.read() as tx:
            return find(tx, name)

    def load(self, tx: ReadTransaction, image_id: Digest) -> Image:
        """Return the image with this ID. Raise NotFound."""
        raw = tx.get(IMAGES, str(image_id))
        if raw is None or (image := self._value(str(image_id), raw)) is None:
            raise NotFound(f"No such image: {image_id}", reference=str(image_id))
        return image

    def all(self, tx: ReadTransaction) -> Iterator[Image]:
        """Yield every image, intermediate ones too, ordered by ID."""
        for key, raw in tx.items(IMAGES):
            if (image := self._value(key, raw)) is not None:
                yield image

    def config(self, image_id: Digest) -> ImageConfig:
        """Return the parsed config. Raise NotFound, Corrupt."""
        if (config := self._configs.get(image_id)) is not None:
            return config
        config = ImageConfig.parse(self.store.blobs.read(image_id))
        self.remember(config)
        return config

    def remember(self, config: ImageConfig) -> None:
        """Keep a parsed config in memory."""
        self._configs.put(config.digest, config)

    def drop_broken(self) -> tuple[Digest, ...]:
        """Forget images whose content a power cut took. Return their IDs."""
        with self.store.transaction() as tx:
            broken_ids = [Digest.parse(o.removeprefix("image:")) for o in tx.broken_owners() if o.startswith("image:")]
            for image_id in broken_ids:
                delete_record(tx, image_id)
            for name in tx.broken_owners():
                if name.startswith("index:"):
                    forget_index(tx, Digest.parse(name.removeprefix("index:")))
        return tuple(broken_ids)

    def _value(self, image_id: str, raw: bytes) -> Image | None:
        """Return the image of a record: the same value for the same record.

        None when image and config have been removed since the record was read.
        """
        entry = self._images.get(image_id)
        if entry is not None and entry[0] == raw:
            return entry[1]
        image = self._make(Digest.parse(image_id), decode(raw))
        if image is not None:
            self._images.put(image_id, (raw, image))
        return image

    def _make(self, image_id: Digest, record: ImageRecord) -> Image | None:
        try:
            config = self.config(image_id)
        except NotFound:
            return None
        names = [Reference.parse(text) for text in record.references]
        indexes = {name: Digest.parse(digest) for name, digest in record.indexes.items()}
        digests = [name for name in names if name.digest]
        digests += _digests_of(indexes, digests)
        sizes = zip(config.diff_ids, record.tar_sizes, strict=True)
        return Image(
            config=config,
            layers=tuple(self.store.layers.at(diff_id, size) for diff_id, size in sizes),
            layer_sizes=record.layer_sizes,
            references=tuple(name for name in names if name.tag),
            digest_references=tuple(digests),
            parent=Digest.parse(record.parent) if record.parent else None,
            made=record.made,
            tagged=record.tagged,
            built=record.built,
            manifest_digest=Digest.parse(record.manifest) if record.manifest else None,
            indexes=indexes,
            local_digests=_local_digests(names, digests, record),
        )

    def manifest(self, image: Image) -> Manifest:
        """Return the manifest the image came with, or one over its uncompressed layers. Raise Corrupt."""
        if image.manifest_digest is None:
            return plain_manifest(image)
        return Manifest.parse(self.store.blobs.read(image.manifest_digest))

    def descriptor(self, image: Image) -> Descriptor:
        """Return the descriptor of `manifest`, with the image's platform. Raise Corrupt."""
        key = image.id, image.manifest_digest
        if (descriptor := self._descriptors.get(key)) is None:
            descriptor = replace(self.manifest(image).descriptor, platform=image.platform)
            self._descriptors.put(key, descriptor)
        return descriptor


def find(tx: ReadTransaction, name: str) -> Digest:
    """Return what `ImageCatalog.find` returns, in a view or transaction of the caller's."""
    reference = _as_reference(name)
    if reference is not None and (image_id := _by_reference(tx, reference)) is not None:
        return image_id
    return _by_prefix(tx, name)


def index_of(tx: ReadTransaction, name: str) -> Digest | None:
    """Return the index that a name means, or an ID that is an index's digest; None for an image alone.

    Raise what `find` raises.
    """
    image_id = find(tx, name)
    record = read_record(tx, image_id)
    indexes = {} if record is None else record.indexes
    reference = _as_reference(name)
    if reference is not None and reference.digest is None and (text := str(reference.with_default_tag())) in indexes:
        return _kept(tx, indexes[text])
    written = str(reference.digest) if reference and reference.digest else f"sha256:{name.removeprefix('sha256:')}"
    if str(image_id).startswith(written):
        return None
    return next((_kept(tx, digest) for digest in indexes.values() if digest.startswith(written)), None)


def _kept(tx: ReadTransaction, digest: str) -> Digest | None:
    return Digest.parse(digest) if tx.get(INDEXES, digest) else None


def no_such_image(name: str) -> NotFound:
    """Return Docker's error for a name that leads nowhere."""
    reference = _as_reference(name)
    familiar = reference.with_default_tag().familiar() if reference else name
    return NotFound(f"No such image: {familiar}", reference=name)


def _as_reference(name: str) -> Reference | None:
    try:
        return Reference.parse(name)
    except InvalidInput:
        return None


def _by_reference(tx: ReadTransaction, reference: Reference) -> Digest | None:
    if reference.digest:
        reference = reference.with_digest(reference.digest)  # a tag beside a digest says nothing
    raw = tx.get(REFERENCES, str(reference.with_default_tag()))
    if raw is not None:
        return Digest.parse(raw.decode())
    if reference.digest and read_record(tx, reference.digest):
        record = read_record(tx, reference.digest)
        names = [Reference.parse(text).name for text in record.references] if record else []
        return reference.digest if reference.name in names else None
    return _by_manifest(tx, reference, reference.digest) if reference.digest else None


def _by_manifest(tx: ReadTransaction, reference: Reference, digest: Digest) -> Digest | None:
    """Return the image behind the digest of a manifest or index of this repository, or of a manifest in an index."""
    for _, image_id in tx.items(REFERENCES, f"{reference.name}:"):
        image = read_record(tx, Digest.parse(image_id.decode()))
        if image is not None and str(digest) in (image.manifest, image.local_manifest):
            return Digest.parse(image_id.decode())
        for name, index in image.indexes.items() if image else ():
            if name == UNNAMED or Reference.parse(name).name != reference.name:
                continue
            if index == str(digest):
                return Digest.parse(image_id.decode())
            record = read_index_record(tx, Digest.parse(index))
            for member in record.members if record else ():
                if member.manifest == str(digest):
                    return Digest.parse(member.image)
    return None


def _digests_of(indexes: Mapping[str, Digest], digests: Sequence[Reference]) -> list[Reference]:
    """Return the names by digest that follow from the indexes of an image, beside those it has."""
    named = [Reference.parse(name).without_tag().with_digest(index) for name, index in indexes.items() if name]
    return [name for name in dict.fromkeys(named) if name not in digests]


def _local_digests(
    names: Sequence[Reference], digests: Sequence[Reference], record: ImageRecord
) -> tuple[Reference, ...]:
    """Return a name by digest for each repository that has only tags. Rule: moby, daemon/containerd, RepoDigests."""
    known = next((str(name.digest) for name in names if name.digest), "") or record.manifest or record.local_manifest
    repositories = {name.name for name in digests}
    tags = {name.name: name for name in names if name.tag and name.name not in repositories} if known else {}
    return tuple(tag.without_tag().with_digest(Digest.parse(known)) for tag in tags.values())


def _by_prefix(tx: ReadTransaction, name: str) -> Digest:
    match = _ID.fullmatch(name)
    if match is None:
        Reference.parse(name)  # what cannot be a name is refused as such
        raise no_such_image(name)
    image_ids = [key for key, _ in tx.items(IMAGES, f"sha256:{match[1]}")]
    if not image_ids:
        mains = {record.main for key, _ in tx.items(INDEXES, f"sha256:{match[1]}") if (record := _index(tx, key))}
        image_ids = sorted(mains)
    if len(image_ids) > 1:
        raise InvalidInput(f"The ID {name} is ambiguous: {len(image_ids)} images begin with it", reference=name)
    if not image_ids:
        raise no_such_image(name)
    return Digest.parse(image_ids[0])


def _index(tx: ReadTransaction, digest: str) -> IndexRecord | None:
    return read_index_record(tx, Digest.parse(digest))
