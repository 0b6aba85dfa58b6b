"""Looking into the images of an engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO

from lamina.api.explorer import Blame, FoundFile, ImageDifference, ImageReport, LayerSummary, ListedFile, Search
from lamina.cancellation import NEVER, Cancellation
from lamina.errors import InvalidInput, NotFound
from lamina.explorer import blame, compare, listing
from lamina.explorer.opened import OpenImage, open_image, summaries
from lamina.explorer.waste import find_waste
from lamina.images.catalog import no_such_image
from lamina.images.image import Image
from lamina.images.images import Images
from lamina.layers.entry import EntryType
from lamina.types import explorer

_PIECE = 1 << 20


class Explorer(explorer.Explorer):
    """The verbs of `lamina.types.Explorer` on an engine's images. Thread-safe; holds nothing open between verbs."""

    def __init__(self, images: Images) -> None:
        self._images = images

    def layers(self, reference: str) -> tuple[LayerSummary, ...]:
        return summaries(self._images.get(reference))

    def report(self, reference: str, *, cancellation: Cancellation = NEVER) -> ImageReport:
        with self._opened(reference) as (image, opened):
            waste = find_waste(opened, cancellation)
        return ImageReport(
            id=str(image.id),
            tags=image.tags,
            platform=str(image.platform),
            size=image.size,
            layers=opened.layers,
            efficiency=waste.efficiency(sum(layer.size for layer in opened.layers[1:])),
            hidden=waste.hidden,
            hidden_files=waste.files,
            hidden_bytes=waste.bytes,
        )

    def files(self, reference: str, path: str = "/", *, layer: int | None = None) -> tuple[ListedFile, ...]:
        with self._opened(reference) as (_, opened):
            number, place = _number(opened, layer), path.strip("/")
            node = opened.files(number).lookup(place)
            if node is None or not node.is_directory:
                raise NotFound(f"/{place} is no directory at layer {number}", path=path, layer=number)
            return listing.listed_files(opened, place, number)

    def find(
        self, reference: str, search: Search, *, layer: int | None = None, cancellation: Cancellation = NEVER
    ) -> tuple[FoundFile, ...]:
        text = search.text.casefold()

        def wanted(file: FoundFile) -> bool:
            return (
                text in file.path.casefold()
                and file.state.size >= search.smallest
                and (not search.changes or file.change in search.changes)
            )

        with self._opened(reference) as (_, opened):
            return listing.found_files(opened, _number(opened, layer), wanted, search.limit, cancellation)

    def read(
        self,
        reference: str,
        path: str,
        sink: IO[bytes],
        *,
        layer: int | None = None,
        cancellation: Cancellation = NEVER,
    ) -> None:
        with self._opened(reference) as (_, opened):
            number, place = _number(opened, layer), path.strip("/")
            files = opened.files(number)
            node = files.lookup(place)
            if node is None or node.entry.type is not EntryType.REGULAR:
                raise NotFound(f"/{place} is no file at layer {number}", path=path, layer=number)
            with files.read(node) as content:
                while piece := content.read(_PIECE):
                    cancellation.check()
                    sink.write(piece)

    def blame(self, reference: str, path: str, *, cancellation: Cancellation = NEVER) -> Blame:
        with self._opened(reference) as (_, opened):
            return blame.blame(opened, path, cancellation)

    def compare(self, before: str, after: str, *, cancellation: Cancellation = NEVER) -> ImageDifference:
        with ExitStack() as closing:
            one, one_files = closing.enter_context(self._opened(before))
            other, other_files = closing.enter_context(self._opened(after))
            return compare.compare(one, one_files, other, other_files, cancellation)

    @contextmanager
    def _opened(self, reference: str) -> Iterator[tuple[Image, OpenImage]]:
        """Open an image and keep its layers for the block, even if somebody removes it meanwhile."""
        image = self._images.get(reference)
        with self._images.store.lease() as lease:
            if not all(lease.add(digest) for digest in (image.id, *image.config.diff_ids)):
                raise no_such_image(reference)
            with open_image(image) as opened:
                yield image, opened


def _number(image: OpenImage, layer: int | None) -> int:
    """Return which layer is meant; the topmost one by None. Raise InvalidInput for a layer that is not there."""
    last = len(image.layers) - 1
    number = last if layer is None else layer
    if not 0 <= number <= last:
        advice = f"It has layers 0 to {last}." if last >= 0 else "It has no layer."
        raise InvalidInput(f"the image has no layer {number}", advice=advice, layer=number)
    return number
