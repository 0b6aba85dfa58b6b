"""What manifests and indexes share: how they say what they are, and the members that both may have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lamina.formats import media
from lamina.formats.descriptor import Descriptor
from lamina.formats.digest import Digest
from lamina.formats.document import Document, bad_field, integer, mapping, objects, string_map, text


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Envelope:
    """What manifests and indexes have in common. `raw` is kept exactly, and `digest` is its name.

    Two are equal when their bytes and media types are.
    """

    raw: bytes = field(repr=False)
    digest: Digest
    media_type: str
    subject: Descriptor | None = None
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Envelope) or type(other) is not type(self):
            return False
        return (self.raw, self.digest, self.media_type) == (other.raw, other.digest, other.media_type)

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def descriptor(self) -> Descriptor:
        """What an index or a registry says of this document."""
        return Descriptor(self.media_type, self.digest, len(self.raw), artifact_type=self.artifact_type)


def shared_members(raw: bytes, document: Document, media_type: str, algorithm: str, what: str) -> dict[str, Any]:
    """The members of Envelope, for the `document` that `raw` holds. Raises InvalidInput, naming the field."""
    return {
        "raw": raw,
        "digest": Digest.of(raw, algorithm),
        "media_type": media_type,
        "subject": _subject(document, what),
        "artifact_type": text(document, "artifactType", what),
        "annotations": string_map(document, "annotations", what),
    }


def declared_type(document: Document, given: str | None, allowed: frozenset[str], default: str, what: str) -> str:
    """The media type of a document: what it says itself, else what was `given`, else `default`; they must agree."""
    if integer(document, "schemaVersion", what) != 2:
        raise bad_field(what, "schemaVersion", "it must be 2")
    inside, outside = text(document, "mediaType", what), media.essence(given or "")
    if outside not in allowed:
        outside = ""
    if inside and inside not in allowed:
        raise bad_field(what, "mediaType", f"{inside!r} is not the type of an {what}")
    if inside and outside and inside != outside:
        raise bad_field(what, "mediaType", f"it says {inside}, but it was sent as {outside}")
    return inside or outside or default


def descriptors(document: Document, key: str, what: str) -> tuple[Descriptor, ...]:
    """The list of descriptors at `key`."""
    listed = objects(document, key, what)
    return tuple(Descriptor.from_json(item, what, f"{key}[{position}].") for position, item in enumerate(listed))


def _subject(document: Document, what: str) -> Descriptor | None:
    """The descriptor of the manifest that this one is about, where it has one."""
    subject = mapping(document, "subject", what)
    return None if subject is None else Descriptor.from_json(subject, what, "subject.")


def add_common(
    document: dict[str, Any], subject: Descriptor | None, artifact_type: str, annotations: Mapping[str, str] | None
) -> None:
    """Put the members that manifests and indexes share into a new `document`."""
    if subject is not None:
        document["subject"] = subject.to_json()
    if artifact_type:
        document["artifactType"] = artifact_type
    if annotations:
        document["annotations"] = dict(annotations)
