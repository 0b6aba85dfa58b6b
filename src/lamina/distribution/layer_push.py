"""One layer from the store to a registry: found there, mounted, sent from the cache, or compressed while it is sent."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO

from lamina.cancellation import Cancellation
from lamina.distribution.blob_sources import form, sources
from lamina.distribution.layer_progress import Meter
from lamina.distribution.repository import Repository
from lamina.distribution.tail import Tail
from lamina.distribution.upload import mount, upload
from lamina.errors import LaminaError, NotFound
from lamina.formats.descriptor import (
    DOCKER_LAYER,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    FOREIGN_LAYERS,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
    Descriptor,
)
from lamina.formats.digest import Digest
from lamina.layers.compression import Compression, compressor, detect
from lamina.layers.layer import Layer
from lamina.progress import Report
from lamina.store.store import Store

_CHUNK = 1 << 20
_TYPES = {
    DOCKER_MANIFEST: {Compression.NONE: DOCKER_LAYER, Compression.GZIP: DOCKER_LAYER_GZIP},
    OCI_MANIFEST: {
        Compression.NONE: OCI_LAYER,
        Compression.GZIP: OCI_LAYER_GZIP,
        Compression.ZSTD: OCI_LAYER_ZSTD,
    },
}


def layer_type(family: str, compression: Compression) -> str | None:
    """Return the media type of a layer in manifests of the type `family`, None where that has none for it."""
    return _TYPES[family].get(compression)


class BytesSource:
    """A small blob to upload."""

    def __init__(self, content: bytes, digest: Digest) -> None:
        self._content = content
        self._digest = digest

    def wait(self, beyond: int) -> int:
        return len(self._content)

    def read_at(self, offset: int, size: int) -> bytes:
        return self._content[offset : offset + size]

    def finished(self) -> Digest | None:
        return self._digest


class FileSource:
    """A blob in a file to upload."""

    def __init__(self, file: BinaryIO, digest: Digest) -> None:
        self._fd = file.fileno()
        self._size = os.fstat(self._fd).st_size
        self._digest = digest

    def wait(self, beyond: int) -> int:
        return self._size

    def read_at(self, offset: int, size: int) -> bytes:
        return os.pread(self._fd, size, offset)

    def finished(self) -> Digest | None:
        return self._digest


@dataclass(frozen=True, slots=True)
class LayerPush:
    """What the layers of one push share. `family` is the media type of the manifest that will list them."""

    repository: Repository
    store: Store
    report: Report
    family: str
    cancellation: Cancellation

    def push(self, layer: Layer, original: Descriptor | None) -> Descriptor:
        """Put the layer into the registry, as the blob `original` if possible. Return the blob that it has."""
        if original is not None and original.media_type in FOREIGN_LAYERS:
            return original
        self.cancellation.check()
        meter = Meter(self.report, layer.diff_id, original.size if original else None)
        meter.say("Preparing")
        for blob, paths in self._forms(layer, original):
            if self._is_there(blob, paths, meter) or self._send_cached(blob, meter):
                return blob
        return self._compress_and_send(layer, meter)

    def _forms(self, layer: Layer, original: Descriptor | None) -> Iterator[tuple[Descriptor, list[str]]]:
        """Yield blobs that stand for the layer, best first, each with the repositories that had it."""
        forms: dict[Digest, tuple[Descriptor, list[str]]] = {}
        if original is not None:
            forms[original.digest] = (original, [])
        for source in sources(self.store, layer.diff_id, self.repository.reference.domain):
            blob = self._in_family(source.descriptor)
            if blob is not None:
                forms.setdefault(blob.digest, (blob, []))[1].append(source.path)
        for digest in self.store.blobs.cached_forms(layer.diff_id):
            blob = self._in_family(form(self.store, layer.diff_id, digest) or self._described(digest))
            if blob is not None:
                forms.setdefault(digest, (blob, []))
        yield from forms.values()

    def _in_family(self, blob: Descriptor | None) -> Descriptor | None:
        """Return the blob with the media type of this manifest's family, or None where the family has none for it."""
        if blob is None or blob.media_type in FOREIGN_LAYERS:
            return None
        ending = blob.media_type.rpartition("tar")[2].strip("+.") or Compression.NONE.value
        media_type = layer_type(self.family, Compression(ending))
        return Descriptor(media_type, blob.digest, blob.size) if media_type else None

    def _described(self, digest: Digest) -> Descriptor | None:
        try:
            with self.store.blobs.open(digest) as file:
                kind, size = detect(file.read(8)), os.fstat(file.fileno()).st_size
        except NotFound:
            return None
        media_type = _TYPES[OCI_MANIFEST].get(Compression(kind.value))
        return Descriptor(media_type, digest, size) if media_type else None

    def _is_there(self, blob: Descriptor, paths: list[str], meter: Meter) -> bool:
        if self.repository.has_blob(blob.digest):
            meter.say("Layer already exists")
            return True
        for path in paths:
            if path != self.repository.path and self._mounts(blob, path):
                meter.say(f"Mounted from {path}")
                return True
        return False

    def _mounts(self, blob: Descriptor, path: str) -> bool:
        try:
            return mount(self.repository, blob.digest, path)
        except LaminaError:
            return False  # we may not read that repository any more: the bytes will be sent

    def _send_cached(self, blob: Descriptor, meter: Meter) -> bool:
        try:
            with self.store.blobs.open(blob.digest) as file:
                upload(self.repository, FileSource(file, blob.digest), self._progress(meter), self.cancellation)
        except NotFound:
            if self.store.blobs.has(blob.digest):
                raise
            return False
        meter.say("Pushed")
        return True

    def _compress_and_send(self, layer: Layer, meter: Meter) -> Descriptor:
        with self.store.blobs.ingest() as ingest:
            tail = Tail(ingest)
            with ThreadPoolExecutor(1, "compress") as side, self.cancellation.child() as stop:
                compressed = side.submit(_compress, layer, tail, ingest.commit, stop)
                upload(self.repository, tail, self._progress(meter), stop)
                digest = compressed.result()
            size = ingest.size
        self.store.blobs.cache(digest, layer.diff_id)
        meter.say("Pushed")
        return Descriptor(_TYPES[self.family][Compression.GZIP], digest, size)

    def _progress(self, meter: Meter) -> Callable[[int], None]:
        return lambda done: meter.at("Pushing", done)


def _compress(layer: Layer, tail: Tail, commit: Callable[[], Digest], cancellation: Cancellation) -> Digest:
    try:
        with layer.tar.open("rb") as tar, compressor(Compression.GZIP, tail) as sink:
            while piece := tar.read(_CHUNK):
                cancellation.check()
                sink.write(piece)
        digest = commit()
        tail.finish(digest)
        return digest
    except BaseException as error:
        tail.fail(error)
        raise
