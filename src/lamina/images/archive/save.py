"""`save`: a docker-archive that is an OCI image layout as well, as Docker writes it since version 25.

The same images give the same bytes: layers uncompressed, no clock, members in a fixed order. Documents come first, so
that a reader of the stream knows what follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from lamina.formats.digest import Digest
from lamina.formats.document import encode
from lamina.formats.index import Index
from lamina.formats.manifest import Manifest
from lamina.formats.reference import Reference
from lamina.images.archive import docker, layout, legacy
from lamina.images.archive.pieces import FileRange, Piece, Pieces, copy_to
from lamina.images.image import Image, plain_manifest
from lamina.layers.entry import Entry, EntryType
from lamina.layers.layer import Layer
from lamina.layers.tar.writer import TarWriter


class Sink(Protocol):
    """Where an archive goes."""

    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True, slots=True)
class SavedImage:
    """An image and the names to save it under."""

    image: Image
    references: tuple[Reference, ...]


def save(images: Sequence[SavedImage], sink: Sink, *, docker_archive: bool = True) -> None:
    """Write the images; without `docker_archive` only the parts of the OCI layout. Raises what the sink raises."""
    copy_to(pieces(images, docker_archive=docker_archive), sink.write)


def pieces(images: Sequence[SavedImage], *, docker_archive: bool = True) -> tuple[Piece, ...]:
    """The archive in pieces: the layers' tars are ranges of their files, all else is bytes."""
    archive = _Archive()
    manifests = {item.image.id: plain_manifest(item.image) for item in images}
    archive.document(layout.LAYOUT, encode({"imageLayoutVersion": "1.0.0"}))
    archive.document(layout.INDEX, _index(images, manifests).raw)
    if docker_archive:
        archive.document(docker.MANIFEST, _docker_manifest(images))
        if (names := _repositories(images)) is not None:
            archive.document(legacy.REPOSITORIES, names)
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
