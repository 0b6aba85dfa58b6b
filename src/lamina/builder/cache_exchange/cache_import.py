"""Caches that a build reads: which steps they have, and the layers of those that the build comes to.

A cache is a helper. One that cannot be read is told and left out, and a step whose layer does not arrive is run. The
layer comes in as those of images do: verified, bounded, and only for the key that names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from lamina.builder.buildkit_keys.key_records import KeyRecord
from lamina.builder.cache.records import CachedResult, CachedStep
from lamina.builder.cache_exchange.buildkit_records import EMPTY_LAYER
from lamina.builder.cache_exchange.cache_document import (
    INLINE,
    MEDIA_TYPE,
    CacheContents,
    read_document,
    read_inline,
)
from lamina.builder.cache_exchange.cache_folder import FindFolder, FolderReader, no_folder
from lamina.builder.cache_exchange.cache_options import FolderPlace, Place
from lamina.builder.console import Console
from lamina.cancellation import Cancellation
from lamina.credentials import Credentials
from lamina.distribution.layer_pull import LayerFetch
from lamina.distribution.pull import choose_manifest
from lamina.distribution.registry_client import RegistryClient
from lamina.distribution.repository import Repository
from lamina.errors import Cancelled, InvalidInput, LaminaError, NoSpace, NotFound
from lamina.formats.config import ImageConfig
from lamina.formats.descriptor import LAYERS, Descriptor
from lamina.formats.digest import Digest
from lamina.formats.manifest import Index, Manifest
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.layers.layer import Layer
from lamina.layers.limits import Limits
from lamina.progress import ignore
from lamina.store.store import Store

OpenRegistry = Callable[[Reference, Credentials | None, str, Cancellation], AbstractContextManager[RegistryClient]]
AskCredentials = Callable[[Reference], Credentials | None]
C = TypeVar("C", CachedStep, CachedResult)


class CacheReader(Protocol):
    """A place with a cache in it. Methods raise what the place raises: NotFound, Corrupt, Unavailable, …"""

    @property
    def name(self) -> str:
        """Return what people call the place."""
        ...

    def top(self) -> Manifest | Index:
        """Return the document that the place's name means."""
        ...

    def image(self, top: Manifest | Index, platform: Platform) -> Manifest:
        """Return the image for a platform below `top`."""
        ...

    def document(self, descriptor: Descriptor, /) -> bytes:
        """Return a document, verified."""
        ...

    def fetch(self, blob: Descriptor, diff_id: Digest, store: Store, cancellation: Cancellation) -> Layer:
        """Bring a layer into the store, verified."""
        ...


class _RegistryReader:
    """The cache at a registry."""

    def __init__(self, repository: Repository, top: Manifest | Index) -> None:
        self._repository = repository
        self._top = top
        self.name = repository.reference.familiar()
        self.document = repository.small_blob

    def top(self) -> Manifest | Index:
        return self._top

    def image(self, top: Manifest | Index, platform: Platform) -> Manifest:
        return choose_manifest(self._repository, top, platform)[1]

    def fetch(self, blob: Descriptor, diff_id: Digest, store: Store, cancellation: Cancellation) -> Layer:
        return LayerFetch(self._repository, store, ignore, Limits(), cancellation).fetch(blob, diff_id)


@dataclass(frozen=True, slots=True)
class _Cache:
    reader: CacheReader
    contents: CacheContents


@dataclass(slots=True)
class ImportedCaches:
    """The caches of one build: a StepSource. Thread-safe."""

    store: Store
    caches: list[_Cache] = field(default_factory=list)

    def find(self, key: str, console: Console, cancellation: Cancellation) -> tuple[CachedStep, Layer | None] | None:
        """Return a step with its layer, which is fetched now. Hold a lease of the store. Raise Cancelled, NoSpace."""
        step_and_layers = self._fetched(key, CachedStep, console.line, cancellation)
        if step_and_layers is None:
            return None
        step, layers = step_and_layers
        return step, next(iter(layers.values()), None)

    def find_keyed(
        self, record: KeyRecord, below: Sequence[Digest], console: Console, cancellation: Cancellation
    ) -> tuple[CachedStep, Layer | None] | None:
        """Return the step with a key of BuildKit's, as `find` does. Its result must stand on the layers `below`."""
        stack = [layer for layer in below if layer != EMPTY_LAYER]
        for cache in self.caches:
            for chain in cache.contents.keyed.chains(record):
                diff_ids = [diff_id for diff_id, _ in chain]
                if diff_ids == stack:
                    return CachedStep(record.identity, None), None
                if diff_ids[:-1] == stack:
                    layers = self._layers(cache, dict(chain[-1:]), console.line, cancellation)
                    if layers is not None:
                        return CachedStep(record.identity, diff_ids[-1]), layers[diff_ids[-1]]
        return None

    def find_result(
        self, key: str, warn: Callable[[str], object], cancellation: Cancellation
    ) -> list[tuple[list[Layer], int]] | None:
        """Return what a vertex made: the layers of each output, and the time of its newest input. Raise as `find`."""
        result_and_layers = self._fetched(key, CachedResult, warn, cancellation)
        if result_and_layers is None:
            return None
        result, layers = result_and_layers
        return [([layers[diff_id] for diff_id in stack], time_ns) for stack, time_ns in result.outputs]

    def _fetched(
        self, key: str, kind: type[C], warn: Callable[[str], object], cancellation: Cancellation
    ) -> tuple[C, dict[Digest, Layer]] | None:
        for cache in self.caches:
            step, blobs = cache.contents.steps.get(key, (None, {}))
            if not isinstance(step, kind):
                continue
            if (layers := self._layers(cache, blobs, warn, cancellation)) is not None:
                return step, layers
        return None

    def _layers(
        self,
        cache: _Cache,
        blobs: Mapping[Digest, Descriptor],
        warn: Callable[[str], object],
        cancellation: Cancellation,
    ) -> dict[Digest, Layer] | None:
        """Return the layers of a step; None, with a warning, where the cache does not give them."""
        try:
            return {each: self._fetch(cache.reader, each, blob, cancellation) for each, blob in blobs.items()}
        except (Cancelled, NoSpace):
            raise
        except LaminaError as error:
            warn(f"[WARNING]: The cache {cache.reader.name} does not give the layer of this step: {error.message}")
        return None

    def _fetch(self, reader: CacheReader, diff_id: Digest, blob: Descriptor, cancellation: Cancellation) -> Layer:
        with self.store.lease() as lease:  # what it holds passes to the build's
            lease.add(diff_id)  # also when it is here already: a prune must not take it now
            return reader.fetch(blob, diff_id, self.store, cancellation)


@dataclass(frozen=True, slots=True)
class CachePlaces:
    """Where a build may read caches: at registries, as its user, and in folders of its client."""

    open_registry: OpenRegistry
    credentials: AskCredentials
    folder: FindFolder = no_folder

    @contextmanager
    def caches(
        self,
        places: Sequence[Place],
        store: Store,
        platform: Platform,
        console: Console,
        cancellation: Cancellation,
    ) -> Iterator[ImportedCaches]:
        """Provide caches; `platform` chooses among images with an inline cache. Raise Cancelled."""
        imported = ImportedCaches(store)
        # The clients are closed without the error of a build, which would be told as one of these registries.
        with closing(ExitStack()) as clients:
            for place in places:
                name = place.folder if isinstance(place, FolderPlace) else place.familiar()
                with console.aside(f"importing cache manifest from {name}") as warn:
                    try:
                        reader = self._reader(place, clients, cancellation)
                        imported.caches.append(_read(reader, platform))
                    except Cancelled:
                        raise
                    except LaminaError as error:
                        warn(f"The cache {name} is not used: {error.message}")
            yield imported

    def _reader(self, place: Place, clients: ExitStack, cancellation: Cancellation) -> CacheReader:
        if isinstance(place, FolderPlace):
            return FolderReader(self.folder(place.folder), place)
        opened = self.open_registry(place, self.credentials(place), "pull", cancellation)
        name = place.digest or place.tag or ""
        return _RegistryReader(*clients.enter_context(opened).first(place, lambda each: each.manifest(name)))


def _read(reader: CacheReader, platform: Platform) -> _Cache:
    """Return a cache. Raise what its place raises, NotFound."""
    top = reader.top()
    config, blobs = _document(top)
    if config is not None:
        return _Cache(reader, read_document(reader.document(config), blobs))
    return _Cache(reader, _inline(reader, reader.image(top, platform)))


def _document(top: Manifest | Index) -> tuple[Descriptor | None, Sequence[Descriptor]]:
    """Return the descriptor of a cache's document, and those of its layers. BuildKit also writes them as an index."""
    if isinstance(top, Manifest):
        return (top.config if top.config.media_type == MEDIA_TYPE else None), top.layers
    return next((entry for entry in top.manifests if entry.media_type == MEDIA_TYPE), None), top.manifests


def _inline(reader: CacheReader, manifest: Manifest) -> CacheContents:
    """Return the steps in the config of an image. Raise NotFound for one without a cache."""
    config = ImageConfig.parse(reader.document(manifest.config)) if manifest.is_image else None
    text = config.document.get(INLINE) if config is not None else None
    if config is None or not isinstance(text, str):
        raise NotFound(f"{reader.name} is no build cache, and no image with one in it")
    if len(config.diff_ids) != len(manifest.layers) or not all(blob.media_type in LAYERS for blob in manifest.layers):
        raise InvalidInput(f"the layers of {reader.name} are not those that its config names")
    return read_inline(text, list(zip(config.diff_ids, manifest.layers, strict=True)))
