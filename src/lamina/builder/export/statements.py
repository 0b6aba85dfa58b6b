"""Attestations as documents: in-toto statements, and the manifest that lists those about one image.

Rule: moby/buildkit, docs/attestations/attestation-storage.md; exporter/containerimage, writer.go and attestations.go.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from lamina.builder.export.result import Attestation
from lamina.formats.descriptor import OCI_CONFIG, OCI_EMPTY, Descriptor
from lamina.formats.digest import Digest
from lamina.formats.document import encode
from lamina.formats.manifest import ATTESTATION, SUBJECT, Manifest
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.images.indexes import PREDICATE_TYPE

STATEMENT_V1 = "https://in-toto.io/Statement/v1"
IN_TOTO = "application/vnd.in-toto+json"
ARTIFACT = "application/vnd.docker.attestation.manifest.v1+json"
NOWHERE = Platform("unknown", "unknown")  # the platform of an attestation manifest in an index
_EMPTY = b"{}"


@dataclass(frozen=True, slots=True)
class AttestationManifest:
    """The manifest of an image's attestations, its entry in the index, and all documents that it needs."""

    entry: Descriptor
    documents: tuple[bytes, ...]


def subject(name: str, digest: Digest) -> dict[str, Any]:
    """Return the subject of a statement."""
    return {"name": name, "digest": {digest.algorithm: digest.encoded}}


def statement(attestation: Attestation, subjects: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the statement that an attestation is about these subjects."""
    return {
        "_type": STATEMENT_V1,
        "predicateType": attestation.predicate_type,
        "subject": list(subjects),
        "predicate": attestation.predicate,
    }


def attest(
    target: Descriptor, attestations: Sequence[Attestation], names: Sequence[str], *, artifact: bool
) -> AttestationManifest:
    """Return the manifest of the attestations about `target`, an image's entry in an index that will get `names`.

    As an `artifact` it names its subject, so that registries list it among the image's referrers.
    """
    platform = target.platform or NOWHERE
    subjects = [subject(package_url(name, platform), target.digest) for name in names]
    statements = [encode(statement(attestation, subjects)) for attestation in attestations]
    layers = [
        Descriptor(IN_TOTO, Digest.of(raw), len(raw), annotations={PREDICATE_TYPE: attestation.predicate_type})
        for raw, attestation in zip(statements, attestations, strict=True)
    ]
    config = _EMPTY if artifact else _config(layers)
    manifest = Manifest.build(
        Descriptor(OCI_EMPTY, Digest.of(config), len(config), data=config)
        if artifact
        else Descriptor.of(OCI_CONFIG, config),
        layers,
        subject=Descriptor(target.media_type, target.digest, target.size) if artifact else None,
        artifact_type=ARTIFACT if artifact else "",
    )
    entry = Descriptor(
        manifest.media_type,
        manifest.digest,
        len(manifest.raw),
        platform=NOWHERE,
        annotations={ATTESTATION: "attestation-manifest", SUBJECT: str(target.digest)},
    )
    return AttestationManifest(entry, (manifest.raw, config, *statements))


def _config(layers: Sequence[Descriptor]) -> bytes:
    diff_ids = [str(layer.digest) for layer in layers]
    return encode({**NOWHERE.to_json(), "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}})


def package_url(name: str, platform: Platform | None, kind: str = "docker") -> str:
    """Return an image's name as a package URL. Rule: moby/buildkit, util/purl; package-url/purl-spec."""
    reference = Reference.parse(name)
    if reference.digest is None:
        reference = reference.with_default_tag()
    path = "/".join(quote(part, safe=":") for part in reference.familiar_name.split("/"))
    version = f"@{quote(reference.tag, safe=':')}" if reference.tag else ""
    qualifiers = {"digest": str(reference.digest) if reference.digest else "", "platform": str(platform or "")}
    text = "&".join(f"{key}={quote(value, safe=':')}" for key, value in qualifiers.items() if value)
    return f"pkg:{kind}/{path}{version}" + (f"?{text}" if text else "")


def descriptor_text(descriptor: Descriptor) -> str:
    """Return a descriptor as BuildKit's clients are told of it: JSON in base64."""
    return base64.b64encode(encode(descriptor.to_json())).decode()
