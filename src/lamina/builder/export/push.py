"""Pushing an assembly: layers and configs, then the manifests, and at last the document that the tag points at."""

from __future__ import annotations

from collections.abc import Sequence

from lamina.builder.export.assembly import AssembledImage, Assembly
from lamina.distribution.answer_errors import explain_refusal
from lamina.distribution.layer_push import BytesSource, LayerPush
from lamina.distribution.push import push_layers
from lamina.distribution.registry_client import RegistryClient
from lamina.distribution.repository import Repository
from lamina.distribution.upload import upload
from lamina.errors import Corrupt
from lamina.formats.descriptor import MANIFESTS
from lamina.formats.digest import Digest
from lamina.formats.document import decode_object
from lamina.formats.manifest import Manifest
from lamina.formats.reference import Reference
from lamina.progress import Aux, Report, Status, ignore
from lamina.store.store import Store


def push_assembly(
    assembly: Assembly, reference: Reference, store: Store, report: Report, *, client: RegistryClient
) -> None:
    """Push an image or an index byte for byte, under the tag of `reference` if it has one.

    The caller holds a lease on the content. Raise the kinds of `answer_errors`, Corrupt when a blob is gone, Cancelled.
    """
    repository = client.repository(reference)
    report(Status(f"The push refers to repository [{reference.name}]"))
    with explain_refusal("Push", reference):
        for item in assembly.images:
            _push_image(item, repository, store, report, client)
        _push_documents(repository, assembly.documents, client)
        top = assembly.top
        repository.put_manifest(top, reference.tag)
    if reference.tag:
        size = len(top.raw)
        report(Status(f"{reference.tag}: digest: {top.digest} size: {size}"))
        report(Aux({"Tag": reference.tag, "Digest": str(top.digest), "Size": size}))


def _push_image(
    item: AssembledImage, repository: Repository, store: Store, report: Report, client: RegistryClient
) -> None:
    work = LayerPush(repository, store, report, item.manifest.media_type, client.cancellation)
    pushed = push_layers(work, item.layers, item.manifest.layers, client.settings.max_uploads)
    for blob, wanted in zip(pushed, item.manifest.layers, strict=True):
        if blob.digest != wanted.digest:
            raise Corrupt(f"the layer blob {wanted.digest} is gone from the store", advice="Build the image again.")
    _push_blob(repository, item.manifest.config.digest, item.config_raw, client)
    repository.put_manifest(item.manifest)


def _push_documents(repository: Repository, documents: Sequence[bytes], client: RegistryClient) -> None:
    """Push the blobs among the documents, then the manifests, which name them."""
    manifests = []
    for raw in documents:
        if decode_object(raw, "document").get("mediaType") in MANIFESTS:
            manifests.append(Manifest.parse(raw))
        else:
            _push_blob(repository, Digest.of(raw), raw, client)
    for manifest in manifests:
        repository.put_manifest(manifest)


def _push_blob(repository: Repository, digest: Digest, raw: bytes, client: RegistryClient) -> None:
    if not repository.has_blob(digest):
        upload(repository, BytesSource(raw, digest), ignore, client.cancellation)
