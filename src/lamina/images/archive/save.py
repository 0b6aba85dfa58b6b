"""An archive before it is written: bytes, and ranges of files, which the kernel can send by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from lamina.errors import Corrupt
from lamina.formats.digest import Digest
from lamina.formats.document import encode
from lamina.formats.manifest import Index, Manifest
from lamina.formats.reference import Reference
from lamina.images.archive import docker, layout
from lamina.images.image import Image, plain_manifest
from lamina.images.indexes import LocalIndex
from lamina.layers.entry import Entry, EntryType
from lamina.layers.layer import Layer
from lamina.layers.tar.writer import TarWriter
from lamina.store.store import Store

CHUNK = 1 << 20  # bytes read at once where a range has to be copied
_DOCUMENT = 64 << 20  # bytes of a statement about an image


@dataclass(frozen=True, slots=True)
class FileRange:
    """`size` bytes of the file at `path`, from `offset` on. The file must stay as it is until that is sent."""

    path: Path
    offset: int
    size: int

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes in pieces. Raise Corrupt where the file is shorter."""
        left = self.size
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.offset)
            while left:
                chunk = file.read(min(left, CHUNK))
                if not chunk:
                    raise self.too_short(left)
                left -= len(chunk)
                yield chunk

    def too_short(self, missing: int) -> Corrupt:
        """Return the error for a file that ended before the range did."""
        return Corrupt(f"{self.path.name!r} is {missing} bytes shorter than it should be", path=str(self.path))


Piece = bytes | FileRange


class Pieces:
    """Collect bytes and ranges of files, in order; bytes that follow each other become one piece."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []
        self._bytes: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Append `data`, and return its length."""
        if data:
            self._bytes.append(data)
        return len(data)

    def put(self, part: FileRange) -> None:
        """Append a range of a file."""
        self._settle()
        self._pieces.append(part)

    def done(self) -> tuple[Piece, ...]:
        """Return all of it, in order."""
        self._settle()
        return tuple(self._pieces)

    def _settle(self) -> None:
        if self._bytes:
            self._pieces.append(b"".join(self._bytes))
            self._bytes.clear()


def size_of(pieces: Iterable[Piece]) -> int:
    """Return bytes of all pieces together."""
    return sum(piece.size if isinstance(piece, FileRange) else len(piece) for piece in pieces)


def copy_to(pieces: Iterable[Piece], write: Callable[[bytes], object]) -> None:
    """Pass all bytes to `write`, in order. Raise what it raises, and Corrupt for a file that has become shorter."""
    for piece in pieces:
        for chunk in piece.chunks() if isinstance(piece, FileRange) else (piece,):
            write(chunk)


class Sink(Protocol):
    """Where an archive goes."""

    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True, slots=True)
class SavedImage:
    """An image and the names to save it under; with `index`, all of that, of which it is the main image."""

    image: Image
    references: tuple[Reference, ...]
    index: LocalIndex | None = None

    @property
    def images(self) -> tuple[Image, ...]:
        """Return all images that are saved."""
        return (self.image,) if self.index is None else tuple(image for _, image in self.index.images)


def pieces(images: Sequence[SavedImage], store: Store, *, docker_archive: bool = True) -> tuple[Piece, ...]:
    """Return the archive in pieces: layers are ranges of their files, all else is bytes.

    An index whose compressed layers are gone is saved as its images. Raise NotFound, Corrupt.
    """
    images = [part for item in images for part in _writable(item, store)]
    archive = ArchivePieces()
    manifests = {item.image.id: plain_manifest(item.image) for item in images if item.index is None}
    archive.document(layout.LAYOUT, encode({"imageLayoutVersion": "1.0.0"}))
    archive.document(layout.INDEX, _index(images, manifests).raw)
    if docker_archive:
        archive.document(docker.MANIFEST, _docker_manifest(images, store))
        if (names := _repositories(images)) is not None:
            archive.document(docker.REPOSITORIES, names)
    archive.directory("blobs")
    archive.directory("blobs/sha256")
    for item in images:
        if item.index is not None:
            archive.blob(item.index.index.digest, item.index.index.raw)
            for digest in documents_of(item.index, store):
                archive.blob(digest, store.blobs.read(digest, _DOCUMENT))
        else:
            archive.blob(manifests[item.image.id].digest, manifests[item.image.id].raw)
        archive.blob(item.image.id, item.image.config.raw)
    for item in images:
        for image in item.images:
            for layer in image.layers if item.index is None or item.index.plain else ():
                archive.layer(layer)
        for digest in layer_blobs(item.index, store) if item.index is not None and not item.index.plain else ():
            archive.file(digest, store.blobs.path(digest), store.blobs.size(digest))
    return archive.done()


def documents_of(index: LocalIndex, store: Store) -> Iterator[Digest]:
    """Yield the manifests of an index, and the configs and statements that they name. Raise NotFound, Corrupt."""
    own = {manifest for manifest, _ in index.images}
    for entry in index.index.manifests:
        yield entry.digest
        manifest = Manifest.parse(store.blobs.read(entry.digest))
        yield manifest.config.digest
        yield from (layer.digest for layer in (() if entry.digest in own else manifest.layers))


def layer_blobs(index: LocalIndex, store: Store) -> Iterator[Digest]:
    """Yield the blobs of the layers of all images in an index."""
    for manifest, _ in index.images:
        yield from (layer.digest for layer in Manifest.parse(store.blobs.read(manifest)).layers)


def _writable(item: SavedImage, store: Store) -> list[SavedImage]:
    index = item.index
    if index is None or index.plain or all(store.blobs.has(digest) for digest in layer_blobs(index, store)):
        return [item]
    return [SavedImage(image, item.references if image.id == item.image.id else ()) for image in item.images]


class ArchivePieces:
    """A tar whose members have no owner and no time; each blob is written once."""

    def __init__(self) -> None:
        self._pieces = Pieces()
        self._tar = TarWriter(self._pieces)
        self._written: set[Digest] = set()

    def document(self, path: str, raw: bytes) -> None:
        """Add a small file."""
        self._tar.add(Entry(path, EntryType.REGULAR, size=len(raw)), raw)

    def directory(self, path: str) -> None:
        """Add a directory."""
        self._tar.add(Entry(path, EntryType.DIRECTORY, mode=0o755))

    def blob(self, digest: Digest, raw: bytes) -> None:
        """Add a document under its digest."""
        if digest not in self._written:
            self._written.add(digest)
            self.document(layout.blob_path(digest), raw)

    def layer(self, layer: Layer) -> None:
        """Add an uncompressed layer."""
        self.file(layer.diff_id, layer.tar, layer.size)

    def file(self, digest: Digest, path: Path, size: int) -> None:
        """Add a blob that is in a file. The file must stay until the archive is written."""
        if digest not in self._written:
            self._written.add(digest)
            with self._tar.around(Entry(layout.blob_path(digest), EntryType.REGULAR, size=size)):
                self._pieces.put(FileRange(path, 0, size))

    def done(self) -> tuple[Piece, ...]:
        """End the archive, and return all of it."""
        self._tar.close()
        return self._pieces.done()


def _index(images: Sequence[SavedImage], manifests: dict[Digest, Manifest]) -> Index:
    entries = []
    for item in images:
        untagged = item.index.index.descriptor if item.index is not None else manifests[item.image.id].descriptor
        for reference in item.references:
            names = {layout.CONTAINERD_NAME: str(reference), layout.REF_NAME: reference.tag or ""}
            entries.append(replace(untagged, annotations=names))
        if not item.references:
            entries.append(untagged)
    return Index.build(entries)


def _layers_of(item: SavedImage, store: Store) -> list[Digest]:
    """Return the blobs of the layers of an image, or of the main image of an index."""
    if item.index is None or item.index.plain:
        return [layer.diff_id for layer in item.image.layers]
    (manifest,) = [digest for digest, image in item.index.images if image.id == item.image.id][:1]
    return [layer.digest for layer in Manifest.parse(store.blobs.read(manifest)).layers]


def _docker_manifest(images: Sequence[SavedImage], store: Store) -> bytes:
    saved = {item.image.id for item in images}
    items = []
    for item in images:
        image = item.image
        fields = {
            "Config": layout.blob_path(image.id),
            "RepoTags": [reference.familiar() for reference in item.references] or None,
            "Layers": [layout.blob_path(digest) for digest in _layers_of(item, store)],
        }
        if image.parent in saved:
            fields["Parent"] = str(image.parent)
        items.append(fields)
    return encode(items)


def _repositories(images: Sequence[SavedImage]) -> bytes | None:
    names: dict[str, dict[str, str]] = {}
    for item in images:
        for reference in item.references:
            if item.image.layers:
                tagged = names.setdefault(reference.familiar_name, {})
                tagged[reference.tag or ""] = item.image.layers[-1].diff_id.encoded
    return encode(names) if names else None
