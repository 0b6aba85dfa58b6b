"""Caches that a build reads: which steps they have, and the layers of those that the build comes to.

A cache is a helper. One that cannot be read is told and left out, and a step whose layer does not arrive is run. The
layer comes in as those of images do: verified, bounded, and only for the key that names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field

from lamina.builder.cache.records import CachedStep
from lamina.builder.cache_exchange.cache_document import MEDIA_TYPE, read_document
from lamina.builder.console import Console
from lamina.cancellation import Cancellation
from lamina.credentials import Credentials
from lamina.distribution.layer_pull import LayerFetch
from lamina.distribution.registry_client import RegistryClient
from lamina.distribution.repository import Repository
from lamina.errors import Cancelled, LaminaError, NoSpace, NotFound
from lamina.formats.descriptor import Descriptor
from lamina.formats.digest import Digest
from lamina.formats.manifest import Index, Manifest
from lamina.formats.reference import Reference
from lamina.layers.layer import Layer
from lamina.layers.limits import Limits
from lamina.progress import ignore
from lamina.store.store import Store

OpenRegistry = Callable[[Reference, Credentials | None, str, Cancellation], AbstractContextManager[RegistryClient]]
AskCredentials = Callable[[Reference], Credentials | None]
Steps = dict[str, tuple[CachedStep, Descriptor | None]]


@dataclass(frozen=True, slots=True)
class _Cache:
    repository: Repository
    steps: Steps


@dataclass(slots=True)
class ImportedCaches:
    """The caches of one build: a StepSource. Thread-safe."""

    store: Store
    caches: list[_Cache] = field(default_factory=list)

    def find(self, key: str, console: Console, cancellation: Cancellation) -> tuple[CachedStep, Layer | None] | None:
        """Return a step with its layer, which is fetched now. Hold a lease of the store. Raise Cancelled, NoSpace."""
        for cache in self.caches:
            step, blob = cache.steps.get(key, (None, None))
            if step is None:
                continue
            if step.layer is None or blob is None:
                return step, None
            try:
                return step, self._fetch(cache.repository, step.layer, blob, cancellation)
            except (Cancelled, NoSpace):
                raise
            except LaminaError as error:
                name = cache.repository.reference.familiar()
                console.line(f"[WARNING]: The cache {name} does not give the layer of this step: {error.message}")
        return None

    def _fetch(self, repository: Repository, diff_id: Digest, blob: Descriptor, cancellation: Cancellation) -> Layer:
        with self.store.lease() as lease:  # what it holds passes to the build's
            lease.add(diff_id)  # also when it is here already: a prune must not take it now
            return LayerFetch(repository, self.store, ignore, Limits(), cancellation).fetch(blob, diff_id)


@contextmanager
def imported_caches(
    references: Sequence[Reference],
    store: Store,
    open_registry: OpenRegistry,
    credentials: AskCredentials,
    console: Console,
    cancellation: Cancellation,
) -> Iterator[ImportedCaches]:
    """Provide the caches of a build. Raise Cancelled."""
    imported = ImportedCaches(store)
    with ExitStack() as clients:
        for reference in references:
            name = reference.familiar()
            console.line(f"importing cache manifest from {name}")
            try:
                opened = open_registry(reference, credentials(reference), "pull", cancellation)
                client = clients.enter_context(opened)
                cache = _read(client, reference)
            except Cancelled:
                raise
            except LaminaError as error:
                console.line(f"[WARNING]: The cache {name} is not used: {error.message}")
                continue
            if cache is None:
                console.line(f"[WARNING]: The cache {name} is not used: another engine wrote it, with keys of its own")
            else:
                imported.caches.append(cache)
        yield imported


def _read(client: RegistryClient, reference: Reference) -> _Cache | None:
    """Return the cache behind a name; None for one of another engine. Raise what registries answer, NotFound."""
    name = reference.digest or reference.tag or ""
    repository, top = client.first(reference, lambda repository: repository.manifest(name))
    config, blobs = _parts(top)
    if config is None:
        raise NotFound(f"{reference.familiar()} is no build cache")
    steps = read_document(repository.small_blob(config), blobs)
    return None if steps is None else _Cache(repository, steps)


def _parts(top: Manifest | Index) -> tuple[Descriptor | None, Sequence[Descriptor]]:
    """Return the descriptor of a cache's document, and those of its layers. BuildKit also writes them as an index."""
    if isinstance(top, Manifest):
        return (top.config if top.config.media_type == MEDIA_TYPE else None), top.layers
    return next((entry for entry in top.manifests if entry.media_type == MEDIA_TYPE), None), top.manifests
