"""The layers of an image as blobs: as they came with the base image, uncompressed, or compressed and kept for later.

A blob depends on the layer and on how it is compressed, and on nothing else, so that a build has one digest.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from lamina.builder.export.options import LayerForm
from lamina.cancellation import Cancellation
from lamina.distribution.layer_push import layer_type
from lamina.formats.descriptor import DOCKER_MANIFEST, FOREIGN_LAYERS, OCI_MANIFEST, Descriptor
from lamina.formats.digest import Digest
from lamina.images.image import Image
from lamina.images.images import Images
from lamina.layers.compression import Compression, compressor
from lamina.layers.layer import Layer
from lamina.store.store import Store

_BUCKET = "compressed-layer"  # "<diff-id>/<compression>/<level>" → the blob
_CHUNK = 1 << 20


class _Blob(msgspec.Struct, frozen=True):
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class LayerEncoder:
    """Make blobs of layers, and keep them for the next time. Hold a lease of the store until something owns them.

    `family` is the media type of the manifest that will list them. Thread-safe.
    """

    store: Store
    form: LayerForm
    family: str
    cancellation: Cancellation

    def blob(self, layer: Layer) -> Descriptor:
        """Return the blob of a layer, which is made where it is not here. Raise NoSpace, Cancelled."""
        compression = self.form.compression
        media_type = layer_type(self.family, compression)
        assert media_type is not None, "the options are checked"
        if compression is Compression.NONE:
            return Descriptor(media_type, layer.diff_id, layer.size)
        key = f"{layer.diff_id}/{compression.value}/{'' if self.form.level is None else self.form.level}"
        blob = _kept_blob(self.store, key) or self._compress(layer, key)
        return Descriptor(media_type, Digest.parse(blob.digest), blob.size)

    def _compress(self, layer: Layer, key: str) -> _Blob:
        with self.store.blobs.ingest() as ingest:
            with layer.tar.open("rb") as tar, compressor(self.form.compression, ingest, self.form.level) as sink:
                while piece := tar.read(_CHUNK):
                    self.cancellation.check()
                    sink.write(piece)
            digest = ingest.commit()
            blob = _Blob(str(digest), ingest.size)
        self.store.blobs.cache(digest, layer.diff_id)
        with self.store.transaction() as tx:
            tx.put(_BUCKET, key, msgspec.json.encode(blob))
        return blob


@dataclass(frozen=True, slots=True)
class LayerBlobs:
    """Make the blobs of one export. Hold a lease of the store until something owns them. Thread-safe."""

    images: Images
    form: LayerForm
    oci_types: bool
    cancellation: Cancellation

    def describe(self, image: Image) -> list[Descriptor]:
        """Return the blobs of an image's layers, bottom first, and make those that are not here.

        Raise NoSpace, Cancelled.
        """
        originals = {} if self.form.force else self._originals(image)
        encoder = LayerEncoder(self.images.store, self.form, self._family, self.cancellation)
        return [originals.get(layer.diff_id) or encoder.blob(layer) for layer in image.layers]

    def _originals(self, image: Image) -> dict[Digest, Descriptor]:
        """Return the compressed layers that the base image came with, by diff-id."""
        base: Image | None = image
        while base is not None and base.manifest_digest is None:
            base = self.images.find(str(base.parent)) if base.parent else None
        if base is None:
            return {}
        blobs: dict[Digest, Descriptor] = {}
        for layer, blob in zip(base.layers, self.images.manifest(base).layers, strict=False):
            converted = self._in_family(blob)
            if converted is not None and _hold(self.images.store, blob.digest):
                blobs[layer.diff_id] = converted
        return blobs

    def _in_family(self, blob: Descriptor) -> Descriptor | None:
        if blob.media_type in FOREIGN_LAYERS:
            return blob
        ending = blob.media_type.rpartition("tar")[2].strip("+.") or Compression.NONE.value
        media_type = layer_type(self._family, Compression(ending))
        if media_type is None or ending == Compression.NONE.value != self.form.compression.value:
            return None
        return Descriptor(media_type, blob.digest, blob.size)

    @property
    def _family(self) -> str:
        return OCI_MANIFEST if self.oci_types else DOCKER_MANIFEST


def _kept_blob(store: Store, key: str) -> _Blob | None:
    """Return the blob of a layer that was compressed alike before, if it is still here, and hold it."""
    with store.read() as tx:
        raw = tx.get(_BUCKET, key)
    if raw is None:
        return None
    blob = msgspec.json.decode(raw, type=_Blob)
    return blob if _hold(store, Digest.parse(blob.digest)) else None


def forget_lost_blobs(store: Store) -> None:
    """Forget the blobs that are gone, when the store collects what nothing needs."""
    with store.read() as tx:
        blobs = {key: Digest.parse(msgspec.json.decode(raw, type=_Blob).digest) for key, raw in tx.items(_BUCKET)}
    lost_keys = [key for key, digest in blobs.items() if not store.blobs.has(digest)]
    if lost_keys:
        with store.transaction() as tx:
            for key in lost_keys:
                tx.delete(_BUCKET, key)


def _hold(store: Store, digest: Digest) -> bool:
    """Hold a blob by the lease around the export. Return whether it is here."""
    with store.lease() as lease:
        return lease.add(digest)
