"""The cache of a build to registries and folders: its layers, the document that names them, and at last the manifest.

Everything stays in the store until its upload ends, and a reader sees the cache when the manifest is there: an export
that is cut off leaves the cache that was there before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lamina.builder.cache.records import Cached, CachedKey
from lamina.builder.cache_exchange.buildkit_records import DIFF_ID
from lamina.builder.cache_exchange.cache_document import MEDIA_TYPE, MOST_LAYERS, MOST_STEPS, write_document
from lamina.builder.cache_exchange.cache_folder import write_cache
from lamina.builder.cache_exchange.cache_options import CacheTarget, FolderPlace
from lamina.builder.export.exporter import ExportClient, OpenRegistry
from lamina.builder.export.layer_blobs import LayerEncoder
from lamina.builder.export.options import LayerForm
from lamina.builder.export.result import Result
from lamina.cancellation import Cancellation
from lamina.distribution.answer_errors import explain_refusal
from lamina.distribution.blob_sources import remember
from lamina.distribution.layer_push import BytesSource, LayerPush
from lamina.distribution.push import push_layers
from lamina.distribution.registry_client import RegistryClient
from lamina.distribution.upload import upload
from lamina.errors import Cancelled, LaminaError
from lamina.formats.descriptor import Descriptor
from lamina.formats.digest import Digest
from lamina.formats.manifest import Index, Manifest
from lamina.formats.reference import Reference
from lamina.layers.compression import Compression
from lamina.layers.layer import Layer
from lamina.progress import Output, Report, ignore
from lamina.store.leases import Lease
from lamina.store.store import Store

MANIFEST = "cache.manifest"  # the key under which clients that keep `index.json` themselves are told what to name in it
_GZIP = LayerForm(Compression.GZIP)


def export_caches(
    result: Result, targets: Sequence[CacheTarget], store: Store, open_registry: OpenRegistry, client: ExportClient
) -> dict[str, str]:
    """Write the cache of a build to each place, and return what the client is told of it.

    Raise what registries and the client answer, but for places whose errors are ignored, and Cancelled.
    """
    response: dict[str, str] = {}
    for target in targets:
        in_folder = isinstance(target.place, FolderPlace)
        with client.step(f"exporting cache to {'client directory' if in_folder else 'registry'}") as report:
            try:
                with store.lease() as lease:
                    export = _Export(target, _chosen(result, whole=target.whole), store, lease, client.cancellation)
                    response |= export.write(open_registry, client, report)
            except Cancelled:
                raise
            except LaminaError as error:
                if not target.ignore_error:
                    raise
                report(Output(f"[WARNING]: The cache was not exported: {error.message}\n"))
    return response


def _chosen(result: Result, *, whole: bool) -> list[Cached]:
    """Return the steps to export, each key once."""
    chosen: dict[str, Cached] = {}
    for item in result.images:
        layers = frozenset(item.image.config.diff_ids)
        chosen |= {step.key: step for step in item.cached if whole or layers.issuperset(step.layers)}
    return list(chosen.values())[:MOST_STEPS]


@dataclass(frozen=True, slots=True)
class _Export:
    """The export of some steps to one place. The lease holds their layers."""

    target: CacheTarget
    steps: Sequence[Cached]
    store: Store
    lease: Lease
    cancellation: Cancellation

    def write(self, open_registry: OpenRegistry, client: ExportClient, report: Report) -> dict[str, str]:
        place, layers = self.target.place, self._layers()
        if isinstance(place, FolderPlace):
            blobs = self._encoded(layers, self.target.form or _GZIP)
            document, manifest = self._documents(blobs)
            documents = [(Descriptor.of(MEDIA_TYPE, document), document), (manifest.descriptor, manifest.raw)]
            pairs = [(layer, blobs[layer.diff_id]) for layer in layers]
            write_cache(client.cache_folder(place.folder), place.tag, pairs, documents, self.store)
            self._tell(report, place.folder, blobs)
            return {MANIFEST: json.dumps(manifest.descriptor.to_json())}
        with open_registry(place, client.credentials(place), "push", self.cancellation) as registry:
            blobs = self._push(layers, place, registry)
        remember(self.store, place, blobs.items())
        self._tell(report, place.familiar(), blobs)
        return {}

    def _layers(self) -> list[Layer]:
        # A prune may have taken the layer of an inner step meanwhile.
        diff_ids = dict.fromkeys(diff_id for step in self.steps for diff_id in step.layers)
        return [self.store.layers.get(diff_id) for diff_id in list(diff_ids)[:MOST_LAYERS] if self.lease.add(diff_id)]

    def _encoded(self, layers: Sequence[Layer], form: LayerForm) -> dict[Digest, Descriptor]:
        encoder = LayerEncoder(self.store, form, self.target.layer_family, self.cancellation)
        return {layer.diff_id: encoder.blob(layer) for layer in layers}

    def _documents(self, blobs: Mapping[Digest, Descriptor]) -> tuple[bytes, Manifest | Index]:
        """Return the document of the steps whose layers are there, and the manifest over it."""
        document = write_document(self._held(blobs), blobs)
        described = (replace(blob, annotations={DIFF_ID: str(diff_id)}) for diff_id, blob in blobs.items())
        config, layers = Descriptor.of(MEDIA_TYPE, document), list({blob.digest: blob for blob in described}.values())
        if self.target.is_manifest:
            return document, Manifest.build(config, layers)
        return document, Index.build([*layers, config], self.target.index_type)

    def _push(self, layers: Sequence[Layer], reference: Reference, client: RegistryClient) -> dict[Digest, Descriptor]:
        repository, form = client.repository(reference), self.target.form
        encoded = self._encoded(layers, form) if form is not None else {}
        with explain_refusal("Push", reference):
            work = LayerPush(repository, self.store, ignore, self.target.layer_family, client.cancellation)
            originals = [encoded.get(layer.diff_id) for layer in layers]
            pushed = push_layers(work, layers, originals, client.settings.max_uploads)
            blobs = dict(zip((layer.diff_id for layer in layers), pushed, strict=True))
            document, manifest = self._documents(blobs)
            source = BytesSource(document, Digest.of(document))
            if not repository.has_blob(Digest.of(document)):
                upload(repository, source, ignore, client.cancellation)
            repository.put_manifest(manifest, reference.tag)
        return blobs

    def _held(self, blobs: Mapping[Digest, Descriptor]) -> list[Cached]:
        return [step for step in self.steps if blobs.keys() >= set(step.layers)]

    def _tell(self, report: Report, name: str, blobs: Mapping[Digest, Descriptor]) -> None:
        steps = [step for step in self._held(blobs) if not isinstance(step, CachedKey)]
        report(Output(f"exported {len(steps)} steps with {len(blobs)} layers to {name}\n"))
