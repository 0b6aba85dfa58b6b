"""The cache of a build to registries: its layers, the document that names them, and at last the manifest.

Everything stays in the store until its upload ends, and a reader sees the cache when the manifest is there: an export
that is cut off leaves the cache that was there before.
"""

from __future__ import annotations

from collections.abc import Sequence

from lamina.builder.cache.records import CachedStep
from lamina.builder.cache_exchange.cache_document import MEDIA_TYPE, MOST_LAYERS, MOST_STEPS, write_document
from lamina.builder.cache_exchange.cache_options import CacheTarget
from lamina.builder.export.exporter import ExportClient, OpenRegistry
from lamina.builder.export.result import Result
from lamina.distribution.answer_errors import explain_refusal
from lamina.distribution.blob_sources import remember
from lamina.distribution.layer_push import BytesSource, LayerPush
from lamina.distribution.push import push_layers
from lamina.distribution.registry_client import RegistryClient
from lamina.distribution.upload import upload
from lamina.errors import Cancelled, LaminaError
from lamina.formats.descriptor import OCI_MANIFEST, Descriptor
from lamina.formats.manifest import Manifest
from lamina.formats.reference import Reference
from lamina.progress import Output, Report, ignore
from lamina.store.store import Store


def export_caches(
    result: Result, targets: Sequence[CacheTarget], store: Store, open_registry: OpenRegistry, client: ExportClient
) -> None:
    """Write the cache of a build to each place.

    Raise what registries answer, but for places whose errors are ignored, and Cancelled.
    """
    for target in targets:
        reference = target.reference
        with client.step("exporting cache to registry") as report:
            try:
                with open_registry(reference, client.credentials(reference), "push", client.cancellation) as registry:
                    _push(_chosen(result, whole=target.whole), reference, store, registry, report)
            except Cancelled:
                raise
            except LaminaError as error:
                if not target.ignore_error:
                    raise
                report(Output(f"[WARNING]: The cache was not exported: {error.message}\n"))


def _chosen(result: Result, *, whole: bool) -> list[CachedStep]:
    """Return the steps to export, each key once."""
    chosen: dict[str, CachedStep] = {}
    for item in result.images:
        layers = frozenset(item.image.config.diff_ids)
        chosen |= {step.key: step for step in item.cached if whole or step.layer is None or step.layer in layers}
    return list(chosen.values())[:MOST_STEPS]


def _push(
    steps: Sequence[CachedStep], reference: Reference, store: Store, client: RegistryClient, report: Report
) -> None:
    repository = client.repository(reference)
    with explain_refusal("Push", reference), store.lease() as lease:
        # A prune may have taken the layer of an inner step meanwhile.
        diff_ids = [diff_id for step in steps if (diff_id := step.layer) is not None and lease.add(diff_id)]
        diff_ids = list(dict.fromkeys(diff_ids))[:MOST_LAYERS]
        layers = [store.layers.get(diff_id) for diff_id in diff_ids]
        work = LayerPush(repository, store, ignore, OCI_MANIFEST, client.cancellation)
        pushed = push_layers(work, layers, [None] * len(layers), client.settings.max_uploads)
        blobs = dict(zip(diff_ids, pushed, strict=True))
        kept = [step for step in steps if step.layer is None or step.layer in blobs]
        raw = write_document(kept, blobs)
        config = Descriptor.of(MEDIA_TYPE, raw)
        manifest = Manifest.build(config, list(dict.fromkeys(pushed)))
        if not repository.has_blob(config.digest):
            upload(repository, BytesSource(raw, config.digest), ignore, client.cancellation)
        repository.put_manifest(manifest, reference.tag)
    remember(store, reference, blobs.items())
    report(Output(f"exported {len(kept)} steps with {len(blobs)} layers to {reference.familiar()}\n"))
