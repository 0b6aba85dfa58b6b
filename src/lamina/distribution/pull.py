"""Pulling: a reference becomes verified content in a store. The caller makes an image of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType

from lamina.distribution.blob_sources import is_form, remember
from lamina.distribution.layer_pull import LayerFetch
from lamina.distribution.registry_client import RegistryClient
from lamina.distribution.repository import Repository
from lamina.errors import (
    Cancelled,
    Corrupt,
    InvalidInput,
    NotFound,
    TooLarge,
    Unsupported,
)
from lamina.formats.config import ImageConfig
from lamina.formats.descriptor import Descriptor
from lamina.formats.digest import Digest
from lamina.formats.manifest import Index, Manifest
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.layers.layer import Layer
from lamina.layers.limits import Limits
from lamina.progress import Report, Status
from lamina.store.store import Store

MAX_INDEX_DEPTH = 4  # indexes inside indexes
MAX_PLATFORMS = 100  # images that one name stands for


@dataclass(frozen=True, slots=True)
class PulledImage:
    """One image that is whole in the store now, with the index that led to it, where one did. Layers bottom first."""

    manifest: Manifest
    index: Index | None
    config: ImageConfig
    layers: tuple[Layer, ...]


def pull(
    reference: Reference,
    platform: Platform | None,
    store: Store,
    report: Report,
    *,
    client: RegistryClient,
    limits: Limits | None = None,
) -> PulledImage:
    """Pull the image for `platform` (the host's where None). Only missing layers are fetched, several at once.

    Hold a lease of the store around it until something owns the content. A failure leaves nothing half visible, and
    keeps complete layers and the beginnings of others for the next try. Raise NotFound, Unauthorized, Forbidden,
    RateLimited, Unavailable, Corrupt, Unsupported for artifacts that are no images, Cancelled.
    """
    reference = reference.with_default_tag()
    with _Pull(store, report, client, limits or Limits()) as work:
        repository, top = work.resolve(reference)
        path = choose_manifest(repository, top, platform or Platform.host())
        return work.image(repository, reference, path)


def pull_all(
    reference: Reference,
    store: Store,
    report: Report,
    *,
    client: RegistryClient,
    limits: Limits | None = None,
) -> tuple[PulledImage, ...]:
    """Pull the images of all platforms that the reference has; as `pull` otherwise."""
    reference = reference.with_default_tag()
    with _Pull(store, report, client, limits or Limits()) as work:
        repository, top = work.resolve(reference)
        return tuple(work.image(repository, reference, path) for path in all_manifests(repository, top))


Path = tuple[tuple[Index, ...], Manifest]  # the indexes that lead to a manifest, outermost first


def choose_manifest(repository: Repository, top: Manifest | Index, platform: Platform) -> Path:
    """Return the image for `platform` below `top`. Raise NotFound."""
    indexes: list[Index] = []
    while isinstance(top, Index):
        indexes.append(top)
        if len(indexes) > MAX_INDEX_DEPTH:
            raise InvalidInput(f"{repository.reference} nests indexes deeper than {MAX_INDEX_DEPTH}")
        top = child(repository, top.select(platform))
    return tuple(indexes), top


def all_manifests(repository: Repository, top: Manifest | Index, above: tuple[Index, ...] = ()) -> list[Path]:
    """Return the images of all platforms below `top`."""
    if isinstance(top, Manifest):
        return [(above, top)]
    if len(above) >= MAX_INDEX_DEPTH:
        raise InvalidInput(f"{repository.reference} nests indexes deeper than {MAX_INDEX_DEPTH}")
    images = []
    for entry in top.images:
        images += all_manifests(repository, child(repository, entry), (*above, top))
        if len(images) > MAX_PLATFORMS:
            raise TooLarge(f"{repository.reference} has more than {MAX_PLATFORMS} images")
    return images


def child(repository: Repository, entry: Descriptor) -> Manifest | Index:
    """Return the manifest that an index points to, checked against what the index says of it."""
    manifest = repository.manifest(entry.digest)
    if len(manifest.raw) != entry.size:
        raise Corrupt(f"{entry.digest} has {len(manifest.raw)} bytes, not {entry.size}", expected=entry.digest)
    return manifest


class _Pull:
    """The work of one pull, with its threads. Leaving the block stops what is still under way."""

    def __init__(self, store: Store, report: Report, client: RegistryClient, limits: Limits) -> None:
        self._store = store
        self._report = report
        self._client = client
        self._limits = limits
        self._stop = client.cancellation.child()
        self._cleanup = ExitStack()
        self._lease = store.lease(keep=True)
        self._verified: set[tuple[Digest, Digest]] = set()
        self._threads = ThreadPoolExecutor(client.settings.max_downloads, "pull")

    def __enter__(self) -> _Pull:
        self._cleanup.callback(self._threads.shutdown, wait=True, cancel_futures=True)
        self._cleanup.enter_context(self._lease)
        self._cleanup.enter_context(self._stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.__exit__(kind, error, trace)

    def resolve(self, reference: Reference) -> tuple[Repository, Manifest | Index]:
        """Return the manifest or index that `reference` names, from the first place that has it.

        Report nothing before that, so that a refusal is the whole answer.
        """
        source = self._find(reference)
        self._report(Status(f"Pulling from {reference.path}", str(reference.digest or reference.tag or "")))
        return source

    def _find(self, reference: Reference) -> tuple[Repository, Manifest | Index]:
        name = reference.digest or reference.tag or ""
        try:
            return self._client.first(reference, lambda repository: repository.manifest(name))
        except NotFound as error:
            raise NotFound(
                f"Manifest for {reference.familiar()} not found: {error.message}", advice=error.advice, **error.facts
            ) from error

    def image(self, repository: Repository, reference: Reference, path: Path) -> PulledImage:
        """Bring in one image: config and layers first, then the documents that lead to them."""
        indexes, manifest = path
        if not manifest.is_image:
            kind = manifest.artifact_type or manifest.config.media_type
            raise Unsupported(f"{reference.familiar()} is not a container image but {kind}", artifact_type=kind)
        config = ImageConfig.parse(repository.small_blob(manifest.config))
        if len(config.diff_ids) != len(manifest.layers):
            raise InvalidInput(
                f"The config names {len(config.diff_ids)} layers, the manifest {len(manifest.layers)}",
                expected=len(config.diff_ids),
            )
        layers = self._layers(repository, manifest, config)
        self._store.blobs.put(config.raw, manifest.config.digest.algorithm)
        self._keep(manifest)
        for index in indexes:
            self._keep(index)
        remember(self._store, reference, self._known(config, manifest))
        top = indexes[0] if indexes else manifest
        self._report(Status(f"Digest: {top.digest}"))
        return PulledImage(manifest, indexes[0] if indexes else None, config, layers)

    def _known(self, config: ImageConfig, manifest: Manifest) -> Iterator[tuple[Digest, Descriptor]]:
        """Yield the layers whose blobs are known to hold them. A manifest may name any blob for one that was here."""
        for diff_id, blob in zip(config.diff_ids, manifest.layers, strict=True):
            if (diff_id, blob.digest) in self._verified or is_form(self._store, diff_id, blob.digest):
                yield diff_id, blob

    def _keep(self, document: Manifest | Index) -> None:
        self._store.blobs.put(document.raw, document.digest.algorithm)

    def _layers(self, repository: Repository, manifest: Manifest, config: ImageConfig) -> tuple[Layer, ...]:
        work = LayerFetch(repository, self._store, self._report, self._limits, self._stop, self._verified)
        for blob, diff_id in zip(manifest.layers, config.diff_ids, strict=True):
            self._lease.add(diff_id)  # the threads that bring it in have no lease of their own
            if not self._store.layers.has(diff_id):
                self._report(Status("Pulling fs layer", blob.digest.short))
        started: list[Future[Layer]] = [
            self._threads.submit(work.fetch, blob, diff_id)
            for blob, diff_id in zip(manifest.layers, config.diff_ids, strict=True)
        ]
        finished, _ = wait(started, return_when=FIRST_EXCEPTION)
        if any(future.exception() for future in finished):
            self._stop.cancel("another layer has failed")
            _cancel(started)
        return tuple(future.result() for future in _failures_first(started))


def _cancel(started: Sequence[Future[Layer]]) -> None:
    for future in started:
        future.cancel()
    wait(started)


def _failures_first(started: list[Future[Layer]]) -> list[Future[Layer]]:
    """Return the futures in order. If any failed, return the first real failure alone: cancellations followed it."""
    causes = [f for f in started if not f.cancelled() and isinstance(f.exception(), Exception)]
    real = [f for f in causes if not isinstance(f.exception(), Cancelled | CancelledError)]
    return real[:1] or causes[:1] or started
