"""Making images: of a config, of a root file system in a tar (`import`), of what a container changed (`commit`).

Config and manifest are stored as blobs, then everything else in one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Protocol

import msgspec

from lamina.cancellation import NEVER, Cancellation
from lamina.errors import InvalidInput
from lamina.formats.config import History, ImageConfig, RunConfig
from lamina.formats.digest import Digest
from lamina.formats.document import refuse_nul
from lamina.formats.manifest import Manifest
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.formats.times import now
from lamina.images.catalog import ImageCatalog
from lamina.images.config_changes import apply_changes, inherit
from lamina.images.image import Image, manifest_over
from lamina.images.record import ImageRecord, add_names, owner, read_record, write_record
from lamina.layers.decompress import decompressed
from lamina.layers.layer_writer import LayerBuilder, ingest
from lamina.layers.tar.source import Readable
from lamina.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class NewImage:
    """What is to become an image; its layers are in the store already. `references` may hold tags and digests."""

    config: ImageConfig
    manifest: Manifest | None = None
    references: Sequence[Reference] = ()
    parent: Digest | None = None
    built: bool = False  # by a build, just now


@dataclass(frozen=True, slots=True)
class Created:
    """The images, in the order they were given, and the names that other images lost to them (name → old ID)."""

    images: tuple[Image, ...]
    taken: dict[str, Digest]


def create(catalog: ImageCatalog, images: Sequence[NewImage]) -> Created:
    """Make these images, all or none.

    An image that exists keeps its names and gets the new ones. Raise NotFound for a layer that is not here,
    InvalidInput for a manifest that is of another image and for a config no container can have, NoSpace.
    """
    for image in images:
        if b"\\u0000" in image.config.raw:  # JSON has no other way to write it
            refuse_nul(image.config.document.get("config"), "image config", "config")
    blobs = catalog.store.blobs
    old_ids: dict[str, Digest] = {}
    with catalog.store.lease():
        for image in images:
            catalog.remember(image.config)
            blobs.put(image.config.raw)
            if image.manifest is not None:
                blobs.put(image.manifest.raw, image.manifest.digest.algorithm)
        together = {image.config.digest for image in images}
        with catalog.store.transaction() as tx:
            for image in images:
                old_ids.update(_create(catalog, tx, image, together))
            created = tuple(catalog.load(tx, image.config.digest) for image in images)
    return Created(created, old_ids)


def _create(catalog: ImageCatalog, tx: Transaction, image: NewImage, together: set[Digest]) -> dict[str, Digest]:
    image_id = image.config.digest
    before = read_record(tx, image_id)
    manifest = str(image.manifest.digest) if image.manifest else ""
    if image.manifest and image.manifest.config.digest != image_id:
        raise InvalidInput(f"manifest {manifest} is of image {image.manifest.config.digest}, not {image_id}")
    layer_sizes, tar_sizes = _sizes(catalog, tx, image)
    record = ImageRecord(
        made=before.made if before else now(),
        layer_sizes=layer_sizes,
        tar_sizes=tar_sizes,
        references=before.references if before else (),
        parent=_parent(tx, image.parent, together) or (before.parent if before else ""),
        manifest=manifest or (before.manifest if before else ""),
        local_manifest=str(manifest_over(image.config, tar_sizes).digest),
        tagged=before.tagged if before else "",
        built=now() if image.built else before.built if before else "",
        indexes=before.indexes if before else {},
    )
    documents = [image_id, Digest.parse(record.manifest)] if record.manifest else [image_id]
    tx.link(owner(image_id), documents, image.config.diff_ids)
    write_record(tx, image_id, record)
    return add_names(tx, image_id, image.references) if image.references else {}


def _sizes(catalog: ImageCatalog, tx: Transaction, image: NewImage) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the bytes of the files in each layer, and of each layer's tar. Raise NotFound for a layer that is missing.

    The sizes of the layers of the parent, which holds them, are in its record: a build of n layers asks for n, not n².
    """
    diff_ids = image.config.diff_ids
    parent = read_record(tx, image.parent) if image.parent is not None else None
    shared = len(parent.tar_sizes) if parent is not None else 0
    if image.parent is None or parent is None or catalog.config(image.parent).diff_ids != diff_ids[:shared]:
        parent, shared = ImageRecord(made=""), 0
    sizes = catalog.store.layers.sizes(diff_ids[shared:])
    layer_sizes = (*parent.layer_sizes, *(size.file_bytes for size in sizes))
    return layer_sizes, (*parent.tar_sizes, *(size.tar_bytes for size in sizes))


def _parent(tx: Transaction, parent: Digest | None, together: set[Digest]) -> str:
    """Return the parent, or "" when it was removed since the new image was begun, whose lease keeps the layers.

    Parents that are made `together` with the image may come after it.
    """
    return str(parent) if parent is not None and (parent in together or read_record(tx, parent) is not None) else ""


def rename_manifest(tx: Transaction, image_id: Digest, manifest: Manifest) -> None:
    """Let `manifest`, whose blob is in the store, be the one the image is known by: what a push does."""
    record = read_record(tx, image_id)
    if record is not None:
        if record.manifest and record.manifest != str(manifest.digest):
            tx.let_go(owner(image_id), Digest.parse(record.manifest))
        tx.hold(owner(image_id), manifest.digest)
        write_record(tx, image_id, msgspec.structs.replace(record, manifest=str(manifest.digest)))


_EMPTY_TAR = bytes(1024)


def import_tar(
    catalog: ImageCatalog,
    stream: Readable,
    reference: Reference | None,
    *,
    message: str,
    changes: Sequence[str],
    platform: Platform | None,
    created: str | None = None,
) -> Image:
    """Make the image; of no bytes at all, as of an empty tar, one without files.

    Raise InvalidInput, TooLarge, NoSpace; the store is then as it was.
    """
    config = apply_changes(RunConfig(), changes)
    when = created or now()
    with catalog.store.lease():
        with catalog.store.layers.create() as work, decompressed(stream) as plain:
            ingested = ingest(plain, work.tar, work.index)
            if ingested.size == 0:  # Docker takes that for a tar without files
                ingested = ingest(BytesIO(_EMPTY_TAR), work.tar, work.index)
            layer = work.commit(ingested)
        image = ImageConfig.build(
            platform=platform or Platform.host(),
            config=config,
            diff_ids=[layer.diff_id],
            history=[History(created=when, comment=message)],
            created=when,
            extra={"comment": message} if message else {},
        )
        return create(catalog, [NewImage(image, references=[reference] if reference else [])]).images[0]


class Changed(Protocol):
    """What can tell its changes as a layer: a snapshot."""

    def write_diff(self, builder: LayerBuilder) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitOptions:
    """How to make the image. `container` is the container's config; `config`, where given, what is wanted instead:
    what it leaves open comes from the container's.

    `created_by` is what the history shows, by default the container's command. `extra` holds further members of the
    image's config.
    """

    container: RunConfig
    config: RunConfig | None = None
    changes: Sequence[str] = ()
    author: str = ""
    message: str = ""
    created_by: str | None = None
    created: str | None = None
    references: Sequence[Reference] = ()
    platform: Platform | None = None
    extra: dict[str, object] = field(default_factory=dict)


def commit(
    catalog: ImageCatalog,
    base: Image | None,
    snapshot: Changed,
    options: CommitOptions,
    cancellation: Cancellation = NEVER,
) -> Image:
    """Make the image. If the container changed no files, the image has no new layer.

    The caller pauses the container. Raise InvalidInput for a bad change, NoSpace, Cancelled; then the store is as it
    was.
    """
    config = inherit(apply_changes(options.config or options.container, options.changes), options.container)
    with catalog.store.lease():
        layer = catalog.store.layers.write(snapshot.write_diff, cancellation)
        when = options.created or now()
        created_by = " ".join(options.container.cmd or ()) if options.created_by is None else options.created_by
        step = History(when, created_by, options.message, options.author, empty_layer=layer is None)
        image_config = ImageConfig.build(
            platform=options.platform or (base.platform if base else None),
            config=config,
            diff_ids=[*(base.config.diff_ids if base else ()), *([layer.diff_id] if layer else ())],
            history=[*(base.config.history if base else ()), step],
            created=when,
            author=options.author,
            extra={"comment": options.message, **options.extra} if options.message else options.extra,
        )
        new = NewImage(image_config, references=options.references, parent=base.id if base else None)
        return create(catalog, [new]).images[0]
