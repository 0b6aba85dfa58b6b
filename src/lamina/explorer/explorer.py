"""Looking into the images of an engine, its containers, and images at registries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import IO, Protocol

from lamina.api.explorer import Blame, FoundFile, ImageDifference, ImageReport, LayerSummary, ListedFile, Search
from lamina.api.explorer_findings import ImageSources, InstalledPackage, Saving, Secret, Sharing, Weight
from lamina.cancellation import NEVER, Cancellation
from lamina.credentials import Credentials
from lamina.errors import InvalidInput, NotFound
from lamina.explorer import blame, compare, listing
from lamina.explorer.installed import installed_packages
from lamina.explorer.opened import OpenImage, open_image, summaries
from lamina.explorer.savings import find_savings
from lamina.explorer.secrets import find_secrets
from lamina.explorer.sharing import sharing
from lamina.explorer.waste import find_waste
from lamina.explorer.weights import weigh
from lamina.images.catalog import no_such_image
from lamina.images.images import Images
from lamina.layers.entry import EntryType
from lamina.types import explorer

_PIECE = 1 << 20


class Opener(Protocol):
    """Open what is no image of this engine: a container, an image at a registry."""

    def __call__(
        self, name: str, credentials: Mapping[str, Credentials], cancellation: Cancellation
    ) -> AbstractContextManager[OpenImage]:
        """Open it for the block. `credentials` are those for each registry. Raise NotFound, Cancelled."""
        ...


class Explorer(explorer.Explorer):
    """The verbs of `lamina.types.Explorer` on an engine's images. Thread-safe; holds nothing open between verbs."""

    def __init__(
        self,
        images: Images,
        openers: Mapping[str, Opener] | None = None,
        credentials: Mapping[str, Credentials] | None = None,
    ) -> None:
        """`openers` open references by their scheme, such as "container" for `container://web`."""
        self._images = images
        self._openers = dict(openers or {})
        self._credentials = dict(credentials or {})

    def with_credentials(self, credentials: Mapping[str, Credentials]) -> Explorer:
        return Explorer(self._images, self._openers, credentials)

    def layers(self, reference: str) -> tuple[LayerSummary, ...]:
        if "://" not in reference:
            return summaries(self._images.get(reference))
        with self._opened(reference) as opened:
            return opened.layers

    def sources(self, reference: str, *, cancellation: Cancellation = NEVER) -> ImageSources:
        with self._opened(reference, cancellation) as opened:
            return opened.sources

    def report(self, reference: str, *, cancellation: Cancellation = NEVER) -> ImageReport:
        with self._opened(reference, cancellation) as opened:
            waste = find_waste(opened, cancellation)
        return ImageReport(
            id=opened.id,
            tags=opened.tags,
            platform=str(opened.config.platform),
            size=sum(layer.size for layer in opened.layers),
            layers=opened.layers,
            efficiency=waste.efficiency(sum(layer.size for layer in opened.layers[1:])),
            hidden=waste.hidden,
            hidden_files=waste.files,
            hidden_bytes=waste.bytes,
        )

    def files(self, reference: str, path: str = "/", *, layer: int | None = None) -> tuple[ListedFile, ...]:
        with self._opened(reference) as opened:
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

        with self._opened(reference, cancellation) as opened:
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
        with self._opened(reference, cancellation) as opened:
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
        with self._opened(reference, cancellation) as opened:
            return blame.blame(opened, path, cancellation)

    def compare(self, before: str, after: str, *, cancellation: Cancellation = NEVER) -> ImageDifference:
        with self._both(before, after, cancellation) as (one, other):
            return compare.compare(one, other, cancellation)

    def weights(
        self, reference: str, *, layer: int | None = None, most: int = 400, cancellation: Cancellation = NEVER
    ) -> Weight:
        with self._opened(reference, cancellation) as opened:
            return weigh(opened, None if layer is None else _number(opened, layer), most, cancellation)

    def savings(self, reference: str, *, cancellation: Cancellation = NEVER) -> tuple[Saving, ...]:
        with self._opened(reference, cancellation) as opened:
            return find_savings(opened, cancellation)

    def packages(self, reference: str, *, cancellation: Cancellation = NEVER) -> tuple[InstalledPackage, ...]:
        with self._opened(reference, cancellation) as opened:
            return installed_packages(opened, cancellation)

    def secrets(self, reference: str, *, cancellation: Cancellation = NEVER) -> tuple[Secret, ...]:
        with self._opened(reference, cancellation) as opened:
            return find_secrets(opened.config, opened, cancellation)

    def sharing(self, reference: str, other: str, *, cancellation: Cancellation = NEVER) -> Sharing:
        with self._both(reference, other, cancellation) as (one, another):
            return sharing(one, another, cancellation)

    @contextmanager
    def _both(self, one: str, other: str, cancellation: Cancellation) -> Iterator[tuple[OpenImage, OpenImage]]:
        with ExitStack() as closing:
            first = closing.enter_context(self._opened(one, cancellation))
            yield first, closing.enter_context(self._opened(other, cancellation))

    @contextmanager
    def _opened(self, reference: str, cancellation: Cancellation = NEVER) -> Iterator[OpenImage]:
        """Open an image and keep its layers for the block, even if somebody removes it meanwhile."""
        scheme, separator, name = reference.partition("://")
        if separator:
            opener = self._openers.get(scheme)
            if opener is None:
                raise InvalidInput(f"{scheme}:// names nothing that can be looked into here", reference=reference)
            with opener(name, self._credentials, cancellation) as opened:
                yield opened
            return
        image = self._images.get(reference)
        with self._images.store.lease() as lease:
            if not all(lease.add(digest) for digest in (image.id, *image.config.diff_ids)):
                raise no_such_image(reference)
            with open_image(image) as opened:
                yield opened


def _number(image: OpenImage, layer: int | None) -> int:
    """Return which layer is meant; the topmost one by None. Raise InvalidInput for a layer that is not there."""
    last = len(image.layers) - 1
    number = last if layer is None else layer
    if not 0 <= number <= last:
        advice = f"It has layers 0 to {last}." if last >= 0 else "It has no layer."
        raise InvalidInput(f"the image has no layer {number}", advice=advice, layer=number)
    return number
