"""An archive before it is written: bytes, and ranges of files, which the kernel can send by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from lamina.errors import Corrupt, InvalidInput
from lamina.formats.digest import Digest
from lamina.formats.document import encode
from lamina.formats.manifest import Index, Manifest
from lamina.formats.reference import Reference
from lamina.images.archive import docker, layout
from lamina.images.catalog import ImageCatalog
from lamina.images.image import Image, plain_manifest
from lamina.images.record import REFERENCES
from lamina.layers.entry import Entry, EntryType
from lamina.layers.layer import Layer
from lamina.layers.tar.writer import TarWriter

CHUNK = 1 << 20  # bytes read at once where a range has to be copied


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
    """An image and the names to save it under."""

    image: Image
    references: tuple[Reference, ...]


def save(images: Sequence[SavedImage], sink: Sink, *, docker_archive: bool = True) -> None:
    """Write the images; without `docker_archive` only the parts of the OCI layout. Raise what the sink raises."""
    copy_to(pieces(images, docker_archive=docker_archive), sink.write)


def pieces(images: Sequence[SavedImage], *, docker_archive: bool = True) -> tuple[Piece, ...]:
    """Return the archive in pieces: the layers' tars are ranges of their files, all else is bytes."""
    archive = _Archive()
    manifests = {item.image.id: plain_manifest(item.image) for item in images}
    archive.document(layout.LAYOUT, encode({"imageLayoutVersion": "1.0.0"}))
    archive.document(layout.INDEX, _index(images, manifests).raw)
    if docker_archive:
        archive.document(docker.MANIFEST, _docker_manifest(images))
        if (names := _repositories(images)) is not None:
            archive.document(docker.REPOSITORIES, names)
    archive.directory("blobs")
    archive.directory("blobs/sha256")
    for item in images:
        archive.blob(manifests[item.image.id].digest, manifests[item.image.id].raw)
        archive.blob(item.image.id, item.image.config.raw)
    for item in images:
        for layer in item.image.layers:
            archive.layer(layer)
    return archive.done()


class _Archive:
    """A tar whose members have no owner and no time; each is written once."""

    def __init__(self) -> None:
        self._pieces = Pieces()
        self._tar = TarWriter(self._pieces)
        self._written: set[Digest] = set()

    def document(self, path: str, raw: bytes) -> None:
        self._tar.add(Entry(path, EntryType.REGULAR, size=len(raw)), raw)

    def directory(self, path: str) -> None:
        self._tar.add(Entry(path, EntryType.DIRECTORY, mode=0o755))

    def blob(self, digest: Digest, raw: bytes) -> None:
        if digest not in self._written:
            self._written.add(digest)
            self.document(layout.blob_path(digest), raw)

    def layer(self, layer: Layer) -> None:
        if layer.diff_id not in self._written:
            self._written.add(layer.diff_id)
            with self._tar.around(Entry(layout.blob_path(layer.diff_id), EntryType.REGULAR, size=layer.size)):
                self._pieces.put(FileRange(layer.tar, 0, layer.size))

    def done(self) -> tuple[Piece, ...]:
        self._tar.close()
        return self._pieces.done()


def _index(images: Sequence[SavedImage], manifests: dict[Digest, Manifest]) -> Index:
    entries = []
    for item in images:
        untagged = manifests[item.image.id].descriptor
        for reference in item.references:
            names = {layout.CONTAINERD_NAME: str(reference), layout.REF_NAME: reference.tag or ""}
            entries.append(replace(untagged, annotations=names))
        if not item.references:
            entries.append(untagged)
    return Index.build(entries)


def _docker_manifest(images: Sequence[SavedImage]) -> bytes:
    saved = {item.image.id for item in images}
    items = []
    for item in images:
        image = item.image
        fields = {
            "Config": layout.blob_path(image.id),
            "RepoTags": [reference.familiar() for reference in item.references] or None,
            "Layers": [layout.blob_path(layer.diff_id) for layer in image.layers],
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


def images_to_save(catalog: ImageCatalog, names: Sequence[str]) -> list[SavedImage]:
    """Return the images that `names` mean, each once, in the order in which it was first named.

    A repository means all its tags, and a tag itself. An ID or a digest means the image without a name. Raise
    NotFound, InvalidInput.
    """
    chosen: dict[Digest, list[Reference]] = {}
    for name in names:
        named = _of_repository(catalog, name) or [(catalog.find(name), _tag(catalog, name))]
        for image_id, reference in named:
            references = chosen.setdefault(image_id, [])
            if reference is not None and reference not in references:
                references.append(reference)
    with catalog.store.read() as tx:
        return [SavedImage(catalog.load(tx, image_id), tuple(names)) for image_id, names in chosen.items()]


def _parse(name: str) -> Reference | None:
    try:
        return Reference.parse(name)
    except InvalidInput:
        return None  # a full ID


def _of_repository(catalog: ImageCatalog, name: str) -> list[tuple[Digest, Reference | None]]:
    """Return all tags of a repository that was named without a tag."""
    reference = _parse(name)
    if reference is None or reference.tag or reference.digest:
        return []
    with catalog.store.read() as tx:
        return [
            (Digest.parse(image_id.decode()), Reference.parse(text))
            for text, image_id in tx.items(REFERENCES, f"{reference.name}:")
        ]


def _tag(catalog: ImageCatalog, name: str) -> Reference | None:
    """Return the tag that was named, if it is one and not an ID that looks alike."""
    reference = _parse(name)
    if reference is None or reference.tag is None or reference.digest is not None:
        return None
    with catalog.store.read() as tx:
        return reference if tx.get(REFERENCES, str(reference)) else None
