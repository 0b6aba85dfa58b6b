"""`history`: the steps of an image, newest first, each with the size of the layer it made."""

from __future__ import annotations

from dataclasses import dataclass

from lamina.formats.reference import Reference
from lamina.images.catalog import Catalog
from lamina.images.image import Image, usable_time
from lamina.images.record import read_record
from lamina.store.transaction import ReadTransaction

MISSING = "<missing>"  # Docker's ID for a step whose image is not here


@dataclass(frozen=True, slots=True)
class HistoryStep:
    """One step. `id` is an image ID or `<missing>`; `size` the bytes of the files it added; `created` RFC 3339."""

    id: str
    created: str
    created_by: str
    references: tuple[Reference, ...]
    size: int
    comment: str


def history(catalog: Catalog, tx: ReadTransaction, image: Image) -> list[HistoryStep]:
    """The steps of `image`; those whose image is in its chain of parents carry that image's ID and tags."""
    sizes = iter(image.layer_sizes)
    made = [0 if step.empty_layer else next(sizes, 0) for step in image.config.history]
    steps: list[HistoryStep] = []
    current: Image | None = image
    for step, size in reversed(list(zip(image.config.history, made, strict=True))):
        steps.append(
            HistoryStep(
                id=str(current.id) if current else MISSING,
                created=usable_time(step.created, image.made),
                created_by=step.created_by,
                references=current.references if current else (),
                size=size,
                comment=step.comment,
            )
        )
        current = _parent(catalog, tx, current)
    return steps


def _parent(catalog: Catalog, tx: ReadTransaction, image: Image | None) -> Image | None:
    if image is None or image.parent is None or read_record(tx, image.parent) is None:
        return None
    return catalog.load(tx, image.parent)
