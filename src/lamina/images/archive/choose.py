"""Which images, under which names, `save NAME…` means (dockerd's rules)."""

from __future__ import annotations

from collections.abc import Sequence

from lamina.errors import InvalidInput
from lamina.formats.digest import Digest
from lamina.formats.reference import Reference
from lamina.images.archive.save import SavedImage
from lamina.images.catalog import Catalog
from lamina.images.record import REFERENCES


def images_to_save(catalog: Catalog, names: Sequence[str]) -> list[SavedImage]:
    """A repository means all its tags; a tag itself; an ID or a digest the image without a name.

    Each image comes once, in the order it was first named; no names give none. Raises NotFound, InvalidInput.
    """
    chosen: dict[Digest, list[Reference]] = {}
    for name in names:
        found = _of_repository(catalog, name) or [(catalog.find(name), _tag(catalog, name))]
        for image_id, reference in found:
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


def _of_repository(catalog: Catalog, name: str) -> list[tuple[Digest, Reference | None]]:
    """All tags of a repository that was named without a tag."""
    wanted = _parse(name)
    if wanted is None or wanted.tag or wanted.digest:
        return []
    with catalog.store.read() as tx:
        return [
            (Digest.parse(image_id.decode()), Reference.parse(text))
            for text, image_id in tx.items(REFERENCES, f"{wanted.name}:")
        ]


def _tag(catalog: Catalog, name: str) -> Reference | None:
    """The tag that was named, if it is one and not an ID that looks alike."""
    wanted = _parse(name)
    if wanted is None or wanted.tag is None or wanted.digest is not None:
        return None
    with catalog.store.read() as tx:
        return wanted if tx.get(REFERENCES, str(wanted)) else None
