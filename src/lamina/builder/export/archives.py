"""An assembly as an OCI layout: in a tar, which is a docker-archive too where that is asked for, or in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from lamina.builder.cache_exchange.cache_folder import CacheFolder
from lamina.builder.export.assembly import Assembly, blobs_of
from lamina.formats.digest import Digest
from lamina.formats.document import encode
from lamina.formats.manifest import Index
from lamina.formats.reference import Reference
from lamina.formats.times import format_time
from lamina.images.archive import docker, layout
from lamina.images.archive.save import ArchivePieces, Piece
from lamina.store.store import Store

_CREATED = "org.opencontainers.image.created"
_SECOND = 10**9
_PIECE = 1 << 20


def archive_pieces(
    assembly: Assembly, names: Sequence[Reference], store: Store, *, docker_archive: bool, epoch: int | None = None
) -> tuple[Piece, ...]:
    """Return the archive in pieces. The caller holds a lease on the content until they are written.

    `epoch` (seconds) is noted as the time of the archive. Raise NotFound for a blob that is gone.
    """
    archive = ArchivePieces()
    archive.document(layout.LAYOUT, encode({"imageLayoutVersion": "1.0.0"}))
    archive.document(layout.INDEX, _index(assembly, names, epoch).raw)
    if docker_archive:
        archive.document(docker.MANIFEST, _docker_manifest(assembly, names))
    archive.directory("blobs")
    archive.directory("blobs/sha256")
    if assembly.index is not None:
        archive.blob(assembly.index.digest, assembly.index.raw)
    for item in assembly.images:
        archive.blob(item.manifest.digest, item.manifest.raw)
        archive.blob(item.manifest.config.digest, item.config_raw)
    for raw in assembly.documents:
        archive.blob(Digest.of(raw), raw)
    own = {layer.diff_id: layer for item in assembly.images for layer in item.layers}
    for item in assembly.images:
        for blob in item.manifest.layers:
            if (layer := own.get(blob.digest)) is not None:
                archive.layer(layer)
    for digest in blobs_of(assembly):
        archive.file(digest, store.blobs.path(digest), store.blobs.size(digest))
    return archive.done()


def write_blobs(assembly: Assembly, store: Store, folder: CacheFolder) -> None:
    """Write the blobs of an assembly that a folder lacks. `index.json` is the client's business.

    The caller holds a lease on the content. Raise NotFound for a blob that is gone, and what the folder raises.
    """
    own = {layer.diff_id: layer for item in assembly.images for layer in item.layers}
    for blob in dict.fromkeys(blob for item in assembly.images for blob in item.manifest.layers):
        if folder.size(blob.digest) != blob.size:
            layer = own.get(blob.digest)
            with layer.tar.open("rb") if layer is not None else store.blobs.open(blob.digest) as file:
                folder.write(blob.digest, iter(partial(file.read, _PIECE), b""))
    documents = [raw for item in assembly.images for raw in (item.config_raw, item.manifest.raw)]
    documents += [*assembly.documents, *([assembly.index.raw] if assembly.index is not None else [])]
    for raw in documents:
        if folder.size(Digest.of(raw)) != len(raw):
            folder.write(Digest.of(raw), [raw])


def _index(assembly: Assembly, names: Sequence[Reference], epoch: int | None) -> Index:
    common = dict(assembly.descriptor.annotations)
    if epoch is not None:
        common.setdefault(_CREATED, format_time(epoch * _SECOND))
    top = replace(assembly.descriptor, annotations=common)
    named = [
        {**common, layout.CONTAINERD_NAME: str(name), layout.REF_NAME: name.tag or ""} for name in names if name.tag
    ]
    return Index.build([replace(top, annotations=annotations) for annotations in named] or [top])


def _docker_manifest(assembly: Assembly, names: Sequence[Reference]) -> bytes:
    items = [
        {
            "Config": layout.blob_path(item.manifest.config.digest),
            "RepoTags": [name.familiar() for name in names] or None,
            "Layers": [layout.blob_path(blob.digest) for blob in item.manifest.layers],
        }
        for item in assembly.images[:1]
    ]
    return encode(items)
