"""The indexes of an archive that are whole: all their images are in it, and all that is attested of them.

Others are loaded as the image that suits this machine: see `layout`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lamina.errors import LaminaError
from lamina.formats.config import ImageConfig
from lamina.formats.descriptor import Descriptor, is_layer
from lamina.formats.digest import Digest
from lamina.formats.manifest import ATTESTATION, Index, Manifest, parse_manifest
from lamina.formats.reference import Reference
from lamina.images.archive import layout
from lamina.images.archive.intake import Intake
from lamina.images.archive.plan import PlannedImage
from lamina.images.image import Image
from lamina.images.indexes import NewIndex


@dataclass(frozen=True, slots=True)
class PlannedIndex:
    """An index to keep, the names that are to mean it, and its images by the digests of their manifests."""

    index: Index
    references: tuple[Reference, ...]
    members: tuple[tuple[Digest, PlannedImage], ...]
    documents: tuple[bytes, ...]

    def made(self, images: Sequence[Image]) -> NewIndex:
        """Return the index over the images that were made of its members."""
        by_id = {image.id: image for image in images}
        members = [(digest, by_id[planned.config.digest]) for digest, planned in self.members]
        layers = {digest for _, planned in self.members for digest in planned.config.diff_ids}
        blobs = {blob.digest for _, planned in self.members if planned.manifest for blob in planned.manifest.layers}
        return NewIndex(self.index, members, self.documents, plain=blobs <= layers)


def plan_indexes(intake: Intake) -> list[PlannedIndex]:
    """Return the indexes that `index.json` names, each once, with all its names. Raise InvalidInput."""
    if not intake.has(layout.INDEX):
        return []
    parts = _Parts(intake)
    indexes: dict[Digest, PlannedIndex | None] = {}
    names: dict[Digest, list[Reference]] = {}
    for entry in Index.parse(intake.document(layout.INDEX)).manifests:
        if entry.digest not in indexes:
            indexes[entry.digest] = parts.index(entry)
        if name := layout.name_of(entry):
            names.setdefault(entry.digest, []).append(name)
    return [replace(whole, references=tuple(names.get(digest, ()))) for digest, whole in indexes.items() if whole]


def with_indexes(planned: Sequence[PlannedImage], indexes: Sequence[PlannedIndex]) -> list[PlannedImage]:
    """Return the images to make: those of the indexes too. Names that mean an index are taken from its image."""
    taken = {name for index in indexes for name in index.references}
    images = {
        item.config.digest: replace(item, references=tuple(n for n in item.references if n not in taken))
        for item in planned
    }
    for index in indexes:
        for _, member in index.members:
            images.setdefault(member.config.digest, member)
    return list(images.values())


class _Parts:
    """What the indexes of an archive consist of. Each document is read once, however often it is named."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._documents: dict[Digest, bytes] = {}
        self._manifests: dict[tuple[Digest, str], Manifest] = {}
        self._images: dict[Digest, PlannedImage | None] = {}

    def index(self, entry: Descriptor) -> PlannedIndex | None:
        """Return the index that an entry names, None where it is none, or not whole."""
        path = layout.blob_path(entry.digest)
        if not self._intake.has(path):
            return None
        index = parse_manifest(self._intake.document(path), entry.media_type, algorithm=entry.digest.algorithm)
        try:
            return self._whole(index) if isinstance(index, Index) else None
        except LaminaError:
            return None  # a document is missing or wrong: what is whole of it is loaded as an image

    def _whole(self, index: Index) -> PlannedIndex | None:
        members: list[tuple[Digest, PlannedImage]] = []
        documents: dict[Digest, bytes] = {}
        for entry in index.manifests:
            manifest = self._manifest(entry)
            documents[entry.digest] = manifest.raw
            if ATTESTATION in entry.annotations:
                documents |= {each.digest: self._document(each) for each in (manifest.config, *manifest.layers)}
            elif (image := self._image(manifest)) is not None:
                members.append((entry.digest, image))
            else:
                return None
        return PlannedIndex(index, (), tuple(members), tuple(documents.values())) if members else None

    def _manifest(self, entry: Descriptor) -> Manifest:
        key = (entry.digest, entry.media_type)
        if key not in self._manifests:
            self._manifests[key] = Manifest.parse(self._document(entry), entry.media_type)
        return self._manifests[key]

    def _document(self, entry: Descriptor) -> bytes:
        if entry.digest not in self._documents:
            raw = entry.data or self._intake.document(layout.blob_path(entry.digest))
            self._documents[entry.digest] = entry.check(raw)
        return self._documents[entry.digest]

    def _image(self, manifest: Manifest) -> PlannedImage | None:
        """Return the image of a manifest, None when a layer of it is not here in the form that the manifest names."""
        if manifest.digest not in self._images:
            config = ImageConfig.parse(self._document(manifest.config))
            paths = tuple(layout.blob_path(layer.digest) for layer in manifest.layers if is_layer(layer.media_type))
            is_here = all(layout.is_here(self._intake, blob.digest) for blob in manifest.layers)
            usable = len(paths) == len(config.diff_ids) and is_here
            self._images[manifest.digest] = PlannedImage(config, paths, manifest=manifest) if usable else None
        return self._images[manifest.digest]
