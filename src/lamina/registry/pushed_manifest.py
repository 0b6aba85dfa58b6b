"""What a pushed manifest says of itself: all that the database is asked about it later."""

from __future__ import annotations

from dataclasses import dataclass

from lamina.errors import InvalidInput
from lamina.formats.descriptor import FOREIGN_LAYERS
from lamina.formats.digest import DEFAULT, Digest
from lamina.formats.document import encode
from lamina.formats.manifest import Index, Manifest, parse_manifest
from lamina.registry import faults


@dataclass(frozen=True, slots=True)
class NewManifest:
    """A manifest to store, with all that is asked about it later. `needs` must be there, `keeps` may come later."""

    digest: str
    media_type: str
    raw: bytes
    artifact_type: str
    subject: str | None
    descriptor: bytes
    blobs: tuple[str, ...]
    children: tuple[str, ...]
    needed_blobs: tuple[str, ...]
    needed_children: tuple[str, ...]


def describe(raw: bytes, content_type: str | None, expected: Digest | None, sparse: str) -> NewManifest:
    """Check a pushed manifest, and note all that is asked about it later. Raise InvalidInput."""
    algorithm = expected.algorithm if expected else DEFAULT
    try:
        parsed = parse_manifest(raw, content_type, algorithm=algorithm)
    except InvalidInput as error:
        raise InvalidInput(error.message, code=faults.MANIFEST_INVALID, detail=error.facts.get("field")) from error
    if expected is not None and parsed.digest != expected:
        raise InvalidInput(f"The manifest has digest {parsed.digest}, not {expected}", code=faults.DIGEST_INVALID)
    blobs: list[str] = []
    needed: list[str] = []
    children: list[str] = []
    if isinstance(parsed, Manifest):
        for part in (parsed.config, *parsed.layers):
            blobs.append(str(part.digest))
            if part.media_type not in FOREIGN_LAYERS and not part.urls:
                needed.append(str(part.digest))
    else:
        children = [str(entry.digest) for entry in parsed.manifests]
    return NewManifest(
        digest=str(parsed.digest),
        media_type=parsed.media_type,
        raw=raw,
        artifact_type=artifact_type(parsed),
        subject=str(parsed.subject.digest) if parsed.subject else None,
        descriptor=_referrer(parsed),
        blobs=tuple(blobs),
        children=tuple(children),
        needed_blobs=() if sparse == "all" else tuple(needed),
        needed_children=tuple(children) if sparse == "none" else (),
    )


def artifact_type(parsed: Manifest | Index) -> str:
    """Return the type that the referrers API lists and filters by: a manifest without one has its config's."""
    if parsed.artifact_type or isinstance(parsed, Index):
        return parsed.artifact_type
    return parsed.config.media_type


def _referrer(parsed: Manifest | Index) -> bytes:
    fields = {"mediaType": parsed.media_type, "digest": str(parsed.digest), "size": len(parsed.raw)}
    if kind := artifact_type(parsed):
        fields["artifactType"] = kind
    return encode(fields | ({"annotations": dict(parsed.annotations)} if parsed.annotations else {}))
