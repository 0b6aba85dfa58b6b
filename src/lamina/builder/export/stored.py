"""An index of the store as an assembly: as it is, or with compressed layers in place of plain ones, for a registry.

Compressing changes the digests of manifests, so the statements about them name the new ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lamina.builder.export.assembly import COMPRESSED, AssembledImage, Assembly
from lamina.builder.export.layer_blobs import LayerBlobs
from lamina.cancellation import Cancellation
from lamina.formats.descriptor import OCI_MANIFEST, Descriptor
from lamina.formats.digest import Digest
from lamina.formats.document import decode_object, encode
from lamina.formats.manifest import SUBJECT, Index, Manifest
from lamina.images.images import Images
from lamina.images.indexes import LocalIndex
from lamina.store.store import Store

MOST = 64 << 20  # bytes of a statement


def stored(images: Images, local: LocalIndex, cancellation: Cancellation) -> Assembly:
    """Return what a registry is to get for an index. Hold a lease of the store around it.

    Raise NotFound for a document that is gone, NoSpace, Cancelled.
    """
    assembled = []
    renamed: dict[Digest, AssembledImage] = {}
    for digest, image in local.images:
        manifest = images.indexes.manifest(digest)
        if local.plain:
            oci_types = manifest.media_type == OCI_MANIFEST
            blobs = LayerBlobs(images, COMPRESSED, oci_types, cancellation).describe(image)
            manifest = Manifest.build(manifest.config, blobs, manifest.media_type, annotations=manifest.annotations)
        entry = replace(local.entry(digest), digest=manifest.digest, size=len(manifest.raw))
        renamed[digest] = AssembledImage(image, manifest, entry, image.config.raw)
        assembled.append(renamed[digest])
    entries, documents = [], list[bytes]()
    for entry in local.index.manifests:
        if entry.digest in renamed:
            entries.append(renamed[entry.digest].entry)
        else:
            entries.append(_attested(images.store, entry, renamed, documents))
    index = Index.build(entries, local.index.media_type, annotations=local.index.annotations)
    if not local.plain:
        index = local.index
    return Assembly(index.descriptor, tuple(assembled), index, tuple(documents))


def _attested(
    store: Store, entry: Descriptor, renamed: Mapping[Digest, AssembledImage], documents: list[bytes]
) -> Descriptor:
    """Add the documents of an attestation manifest, about the new image. Return its entry in the index."""
    manifest = Manifest.parse(store.blobs.read(entry.digest))
    about = entry.annotations.get(SUBJECT, "")
    image = next((item for digest, item in renamed.items() if str(digest) == about), None)
    if image is None or image.entry.digest == Digest.parse(about):
        documents += [
            manifest.raw,
            *(store.blobs.read(each.digest, MOST) for each in (manifest.config, *manifest.layers)),
        ]
        return entry
    statements = [
        _renamed(store.blobs.read(layer.digest, MOST), about, image.entry.digest) for layer in manifest.layers
    ]
    layers = [
        replace(layer, digest=Digest.of(raw), size=len(raw))
        for layer, raw in zip(manifest.layers, statements, strict=True)
    ]
    config_raw = manifest.config.data or store.blobs.read(manifest.config.digest)
    config = manifest.config
    if (rootfs := decode_object(config_raw, "config").get("rootfs")) is not None:
        diff_ids = [str(layer.digest) for layer in layers]
        config_raw = encode({**decode_object(config_raw, "config"), "rootfs": {**rootfs, "diff_ids": diff_ids}})
        config = Descriptor.of(config.media_type, config_raw)
    subject = Descriptor(image.entry.media_type, image.entry.digest, image.entry.size) if manifest.subject else None
    changed = Manifest.build(config, layers, manifest.media_type, subject=subject, artifact_type=manifest.artifact_type)
    documents += [changed.raw, config_raw, *statements]
    annotations = {**entry.annotations, SUBJECT: str(image.entry.digest)}
    return replace(entry, digest=changed.digest, size=len(changed.raw), annotations=annotations)


def _renamed(raw: bytes, old: str, new: Digest) -> bytes:
    """Return a statement with another digest for its subjects that are the image."""
    document: dict[str, Any] = dict(decode_object(raw, "statement"))
    was = Digest.parse(old)
    document["subject"] = [
        {**each, "digest": {new.algorithm: new.encoded}}
        if each.get("digest", {}).get(was.algorithm) == was.encoded
        else each
        for each in document.get("subject", ())
    ]
    return encode(document)
