"""What a registry has of an index beside its images: the manifests of attestations, and what these name."""

from __future__ import annotations

from lamina.distribution.repository import Repository
from lamina.errors import InvalidInput, TooLarge
from lamina.formats.manifest import ATTESTATION, Index, Manifest

_MOST = 64 << 20  # bytes of all documents of one index


def attestation_documents(repository: Repository, index: Index) -> list[bytes]:
    """Fetch the documents of all attestations that an index lists.

    Raise what registries answer, InvalidInput for an entry that is no manifest, TooLarge for more than 64 MiB.
    """
    documents: list[bytes] = []
    for entry in index.manifests:
        if ATTESTATION not in entry.annotations:
            continue
        manifest = repository.manifest(entry.digest)
        if not isinstance(manifest, Manifest):
            raise InvalidInput(f"the attestation {entry.digest} is no manifest")
        documents.append(manifest.raw)
        for blob in (manifest.config, *manifest.layers):
            documents.append(blob.check(blob.data) if blob.data is not None else repository.small_blob(blob))
            if sum(map(len, documents)) > _MOST:
                raise TooLarge(f"the attestations of {repository.reference} are larger than 64 MiB")
    return documents
