"""Caches in folders of the client: OCI image layouts, read by digest and written blob by blob.

The client has the folder, and `index.json` is its business: it is told which manifest a tag means. Nothing that it
sends is believed: documents are hashed, and a layer counts only if it has the diff-id that the document names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from lamina.builder.cache_exchange.cache_options import FolderPlace
from lamina.cancellation import Cancellation, CheckedReader
from lamina.errors import Corrupt, InvalidInput, TooLarge, Unsupported
from lamina.formats.descriptor import Descriptor
from lamina.formats.digest import Digest
from lamina.formats.manifest import Index, Manifest, parse_manifest
from lamina.formats.platform import Platform
from lamina.layers.decompress import decompressed
from lamina.layers.layer import Layer
from lamina.layers.layer_writer import ingest
from lamina.layers.limits import Limits
from lamina.layers.tar.source import Readable
from lamina.store.store import Store

_LARGEST_DOCUMENT = 8 << 20  # bytes
_DEEPEST = 4  # indexes in indexes
_PIECE = 1 << 20


class CacheFolder(Protocol):
    """One folder of a client. Thread-safe. Methods raise Cancelled, Unavailable for a client that is gone, OSError."""

    def size(self, digest: Digest, /) -> int | None:
        """Return the size of a blob, None where there is none."""
        ...

    def open(self, digest: Digest, /) -> AbstractContextManager[Readable]:
        """Provide a blob, not checked yet. Raise NotFound."""
        ...

    def write(self, digest: Digest, pieces: Iterable[bytes], /) -> None:
        """Add a blob."""
        ...

    def finish(self, manifest: Descriptor, tag: str, /) -> None:
        """Have a tag of the folder mean a manifest."""
        ...


FindFolder = Callable[[str], CacheFolder]


def no_folder(name: str) -> CacheFolder:
    """Refuse caches in folders: a FindFolder for builds whose client has none."""
    raise Unsupported("this build has no folders to keep a cache in", advice="Use type=registry.")


class FolderReader:
    """The cache in a folder: a CacheReader."""

    def __init__(self, folder: CacheFolder, place: FolderPlace) -> None:
        self._folder = folder
        self._place = place

    @property
    def name(self) -> str:
        return self._place.folder

    def top(self) -> Manifest | Index:
        digest = self._place.digest
        if digest is None:
            raise InvalidInput(f"the folder {self.name} has no cache under the tag {self._place.tag}")
        return parse_manifest(self._document(digest))

    def image(self, top: Manifest | Index, platform: Platform) -> Manifest:
        for _ in range(_DEEPEST):
            if isinstance(top, Manifest):
                return top
            top = parse_manifest(self._document(top.select(platform).digest))
        raise InvalidInput(f"the folder {self.name} has indexes in more than {_DEEPEST} others")

    def document(self, descriptor: Descriptor) -> bytes:
        return self._document(descriptor.digest)

    def fetch(self, blob: Descriptor, diff_id: Digest, store: Store, cancellation: Cancellation) -> Layer:
        limits = Limits()
        limits.check_expanded(blob.size)
        with store.layers.arrivals.hold(diff_id, cancellation):
            if store.layers.has(diff_id):
                return store.layers.get(diff_id)
            with self._folder.open(blob.digest) as stream, store.layers.create() as pending:
                tar = decompressed(CheckedReader(stream, cancellation), limits.expanded_size)
                return pending.commit(ingest(tar, pending.tar, pending.index, limits), diff_id)

    def _document(self, digest: Digest) -> bytes:
        """Return a document. Raise Corrupt where its bytes have another digest, TooLarge."""
        data = bytearray()
        with self._folder.open(digest) as stream:
            while piece := stream.read(_PIECE):
                data += piece
                if len(data) > _LARGEST_DOCUMENT:
                    raise TooLarge(f"{digest} is larger than a document may be", limit=_LARGEST_DOCUMENT)
        if not digest.matches(bytes(data)):
            raise Corrupt(f"the folder {self.name} has other bytes than those of {digest}", expected=digest)
        return bytes(data)


def write_cache(
    folder: CacheFolder,
    tag: str,
    layers: Sequence[tuple[Layer, Descriptor]],
    documents: Sequence[tuple[Descriptor, bytes]],
    store: Store,
) -> None:
    """Write a cache: the blobs of its layers, and documents of which the last one is the manifest.

    What is there already is not sent. A lease holds the blobs.
    """
    for layer, blob in layers:
        if folder.size(blob.digest) != blob.size:
            folder.write(blob.digest, _pieces_of(layer, blob, store))
    for descriptor, raw in documents:
        if folder.size(descriptor.digest) != len(raw):
            folder.write(descriptor.digest, iter([raw]))
    folder.finish(documents[-1][0], tag)


def _pieces_of(layer: Layer, blob: Descriptor, store: Store) -> Iterator[bytes]:
    opened = layer.tar.open("rb") if blob.digest == layer.diff_id else store.blobs.open(blob.digest)
    with opened as file:
        while piece := file.read(_PIECE):
            yield piece
