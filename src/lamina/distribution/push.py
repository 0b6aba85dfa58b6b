"""Pushing: the parts of an image go to a registry; only what it does not have is sent."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, replace

from lamina.distribution.answer_errors import explain_refusal
from lamina.distribution.blob_sources import remember
from lamina.distribution.layer_push import BytesSource, LayerPush
from lamina.distribution.registry_client import RegistryClient
from lamina.distribution.upload import upload
from lamina.errors import Cancelled
from lamina.formats.config import ImageConfig
from lamina.formats.descriptor import DOCKER_CONFIG, DOCKER_MANIFEST, OCI_CONFIG, Descriptor
from lamina.formats.digest import Digest
from lamina.formats.manifest import Manifest
from lamina.formats.reference import Reference
from lamina.layers.layer import Layer
from lamina.progress import Aux, Report, Status, ignore
from lamina.store.store import Store


@dataclass(frozen=True, slots=True)
class Pushed:
    """What the registry has now: the manifest's or index's digest, type and size in bytes."""

    media_type: str
    digest: Digest
    size: int


def push(
    reference: Reference,
    config: ImageConfig,
    layers: Sequence[Layer],
    store: Store,
    report: Report,
    *,
    client: RegistryClient,
    manifest: Manifest | None = None,
    media_type: str = DOCKER_MANIFEST,
) -> Pushed:
    """Push one image under the tag of `reference`, or under its digest alone where that has none.

    `manifest` is the one the image came with: it is pushed byte for byte as long as its very blobs can be had, so
    digests do not change on the way. Else a manifest of `media_type` is made, with gzip layers. Blobs that the registry
    has are not sent, those it has elsewhere are mounted. Raise the kinds of `answer_errors`, and Cancelled.
    """
    repository = client.repository(reference)
    report(Status(f"The push refers to repository [{reference.name}]"))
    originals: Sequence[Descriptor | None] = [None] * len(layers)
    family = media_type
    if manifest is not None and len(manifest.layers) == len(layers):
        originals, family = manifest.layers, manifest.media_type
    with explain_refusal("Push", reference), store.lease():
        work = LayerPush(repository, store, report, family, client.cancellation)
        blobs = push_layers(work, layers, originals, client.settings.max_uploads)
    config_type = DOCKER_CONFIG if family == DOCKER_MANIFEST else OCI_CONFIG
    final = Manifest.build(Descriptor.of(config_type, config.raw), blobs, family)
    if manifest is not None and [b.digest for b in blobs] == [b.digest for b in manifest.layers]:
        final = manifest
    with explain_refusal("Push", reference):
        if not repository.has_blob(final.config.digest):
            upload(repository, BytesSource(config.raw, final.config.digest), ignore, client.cancellation)
        repository.put_manifest(final, reference.tag)
    remember(store, reference, zip((layer.diff_id for layer in layers), final.layers, strict=True))
    return _report_pushed(reference, final, report)


def _report_pushed(reference: Reference, pushed: Manifest, report: Report) -> Pushed:
    size = len(pushed.raw)
    if reference.tag:
        report(Status(f"{reference.tag}: digest: {pushed.digest} size: {size}"))
        report(Aux({"Tag": reference.tag, "Digest": str(pushed.digest), "Size": size}))
    return Pushed(pushed.media_type, pushed.digest, size)


def push_layers(
    work: LayerPush, layers: Sequence[Layer], originals: Sequence[Descriptor | None], at_once: int
) -> list[Descriptor]:
    """Push layers, several at once and each once. Return their blobs in order. Raise the first real failure."""
    with ExitStack() as cleanup:
        threads = ThreadPoolExecutor(at_once, "push")
        cleanup.callback(threads.shutdown, wait=True, cancel_futures=True)
        stop = cleanup.enter_context(work.cancellation.child())
        work = replace(work, cancellation=stop)
        first = {layer.diff_id: position for position, layer in reversed(list(enumerate(layers)))}
        started = {
            diff_id: threads.submit(work.push, layers[position], originals[position])
            for diff_id, position in sorted(first.items(), key=lambda item: item[1])
        }
        done, _ = wait(started.values(), return_when=FIRST_EXCEPTION)
        failed = [future.exception() for future in done if future.exception()]
        if failed:
            stop.cancel("another layer has failed")
            raise next((e for e in failed if e and not isinstance(e, Cancelled)), failed[0] or Cancelled("stopped"))
        return [started[layer.diff_id].result() for layer in layers]
