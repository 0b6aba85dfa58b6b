"""Which images `save` means by the names it is given."""

from __future__ import annotations

from collections.abc import Sequence

from lamina.errors import InvalidInput
from lamina.formats.digest import Digest
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.images.archive.save import SavedImage
from lamina.images.catalog import ImageCatalog
from lamina.images.image import Image, check_platform
from lamina.images.indexes import Indexes, LocalIndex
from lamina.images.record import REFERENCES


def images_to_save(
    catalog: ImageCatalog, indexes: Indexes, names: Sequence[str], platform: str = ""
) -> list[SavedImage]:
    """Return the images that `names` mean, each once, in the order in which it was first named.

    A repository means all its tags, and a tag itself. An ID or a digest means the image without a name. A name of an
    index means all its images, or the one for `platform`. Raise NotFound, InvalidInput.
    """
    chosen_platform = Platform.parse(platform) if platform else None
    chosen: dict[tuple[Digest, Digest | None], list[Reference]] = {}
    indexes_by_digest: dict[Digest, LocalIndex] = {}
    for name in names:
        for image_id, reference in _of_repository(catalog, name) or [(catalog.find(name), _tag(catalog, name))]:
            index = indexes.find(str(reference or name))
            if index is not None and chosen_platform is not None:
                image_id = _of_platform(index, chosen_platform).id
            elif index is not None:
                indexes_by_digest[index.index.digest] = index
            key = image_id, index.index.digest if index is not None and chosen_platform is None else None
            references = chosen.setdefault(key, [])
            if reference is not None and reference not in references:
                references.append(reference)
    with catalog.store.read() as tx:
        images = [
            SavedImage(catalog.load(tx, image_id), tuple(references), indexes_by_digest.get(digest) if digest else None)
            for (image_id, digest), references in chosen.items()
        ]
    for item in images:
        check_platform(item.image, platform)
    return images


def _of_platform(index: LocalIndex, platform: Platform) -> Image:
    return index.image_for(platform) or index.main


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
