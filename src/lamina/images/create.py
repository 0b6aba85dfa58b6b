"""Putting an image into the store: config and manifest as blobs, then everything else in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from lamina.errors import InvalidInput
from lamina.formats.config import ImageConfig
from lamina.formats.digest import Digest
from lamina.formats.document import refuse_nul
from lamina.formats.manifest import Manifest
from lamina.formats.reference import Reference
from lamina.formats.times import now
from lamina.images.catalog import Catalog
from lamina.images.image import Image
from lamina.images.names import add_names
from lamina.images.record import ImageRecord, owner, read_record, write_record
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


def create(catalog: Catalog, images: Sequence[NewImage]) -> Created:
    """Make these images, all or none.

    An image that exists keeps its names and gets the new ones. Raises NotFound for a layer that is not here,
    InvalidInput for a manifest that is of another image and for a config no container can have, NoSpace.
    """
    for image in images:
        if b"\\u0000" in image.config.raw:  # JSON has no other way to write it
            refuse_nul(image.config.document.get("config"), "image config", "config")
    blobs = catalog.store.blobs
    taken: dict[str, Digest] = {}
    with catalog.store.lease():
        for image in images:
            catalog.remember(image.config)
            blobs.put(image.config.raw)
            if image.manifest is not None:
                blobs.put(image.manifest.raw, image.manifest.digest.algorithm)
        together = {image.config.digest for image in images}
        with catalog.store.transaction() as tx:
            for image in images:
                taken.update(_create(catalog, tx, image, together))
            made = tuple(catalog.load(tx, image.config.digest) for image in images)
    return Created(made, taken)


def _create(catalog: Catalog, tx: Transaction, image: NewImage, together: set[Digest]) -> dict[str, Digest]:
    image_id = image.config.digest
    before = read_record(tx, image_id)
    manifest = str(image.manifest.digest) if image.manifest else ""
    if image.manifest and image.manifest.config.digest != image_id:
        raise InvalidInput(f"manifest {manifest} is of image {image.manifest.config.digest}, not {image_id}")
    sizes = catalog.store.layers.sizes(image.config.diff_ids)
    record = ImageRecord(
        made=before.made if before else now(),
        layer_sizes=tuple(size.file_bytes for size in sizes),
        tar_sizes=tuple(size.tar_bytes for size in sizes),
        references=before.references if before else (),
        parent=_parent(tx, image.parent, together) or (before.parent if before else ""),
        manifest=manifest or (before.manifest if before else ""),
        tagged=before.tagged if before else "",
        built=now() if image.built else before.built if before else "",
    )
    documents = [image_id, Digest.parse(record.manifest)] if record.manifest else [image_id]
    tx.link(owner(image_id), documents, image.config.diff_ids)
    write_record(tx, image_id, record)
    return add_names(tx, image_id, image.references) if image.references else {}


def _parent(tx: Transaction, parent: Digest | None, together: set[Digest]) -> str:
    """The parent, unless somebody removed it since the new image was begun: its layers are held, so that is no harm.

    Those that are made `together` with the image may come after it.
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
