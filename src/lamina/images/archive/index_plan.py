"""The indexes of an archive that are whole: all their images are in it, and all that is attested of them.

Others are loaded as the image that suits this machine: see `layout`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    planned: dict[Digest, PlannedIndex] = {}
    for entry in Index.parse(intake.document(layout.INDEX)).manifests:
        path = layout.blob_path(entry.digest)
        if not intake.has(path):
            continue
        inner = parse_manifest(intake.document(path), entry.media_type, algorithm=entry.digest.algorithm)
        if not isinstance(inner, Index) or (whole := _whole(intake, inner)) is None:
            continue
        name = layout.name_of(entry)
        before = planned.get(inner.digest, whole)
        planned[inner.digest] = replace(before, references=(*before.references, *((name,) if name else ())))
    return list(planned.values())


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


def _whole(intake: Intake, index: Index) -> PlannedIndex | None:
    members, documents = [], []
    try:
        for entry in index.manifests:
            manifest = Manifest.parse(_document(intake, entry), entry.media_type)
            documents.append(manifest.raw)
            if ATTESTATION in entry.annotations:
                documents += [_document(intake, each) for each in (manifest.config, *manifest.layers)]
            elif (image := _image(intake, manifest)) is not None:
                members.append((entry.digest, image))
            else:
                return None
    except LaminaError:
        return None  # a document is missing or wrong: what is whole of it is loaded as an image
    return PlannedIndex(index, (), tuple(members), tuple(documents)) if members else None


def _document(intake: Intake, entry: Descriptor) -> bytes:
    return entry.check(entry.data or intake.document(layout.blob_path(entry.digest)))


def _image(intake: Intake, manifest: Manifest) -> PlannedImage | None:
    """Return the image of a manifest, None when a layer of it is not here in the form that the manifest names."""
    config = ImageConfig.parse(_document(intake, manifest.config))
    paths = tuple(_layers(manifest))
    usable = len(paths) == len(config.diff_ids) and all(layout.is_here(intake, b.digest) for b in manifest.layers)
    return PlannedImage(config, paths, manifest=manifest) if usable else None


def _layers(manifest: Manifest) -> Iterator[str]:
    return (layout.blob_path(layer.digest) for layer in manifest.layers if is_layer(layer.media_type))
