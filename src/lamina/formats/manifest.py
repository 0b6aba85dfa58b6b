"""Manifests and indexes: images, and lists of one for each platform (OCI image-spec 1.1, manifest.md, image-index.md).

Manifests may be OCI's or Docker's schema 2, and indexes are also called manifest lists. Raw bytes are the truth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lamina.errors import InvalidInput, NotFound
from lamina.formats.descriptor import (
    CONFIGS,
    DOCKER_SCHEMA1,
    DOCKER_SCHEMA1_SIGNED,
    INDEXES,
    MANIFESTS,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    essence,
    is_layer,
)
from lamina.formats.digest import DEFAULT, Digest
from lamina.formats.document import (
    Document,
    bad_field,
    decode_object,
    encode,
    integer,
    mapping,
    objects,
    string_map,
    text,
)
from lamina.formats.platform import Platform, choose

_INDEX = "image index"
ATTESTATION = "vnd.docker.reference.type"  # annotation of BuildKit's entries that are no images
SUBJECT = "vnd.docker.reference.digest"  # annotation of such an entry: the manifest that it is about
_MANIFEST = "image manifest"


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
        """Return what an index or a registry says of this document."""
        return Descriptor(self.media_type, self.digest, len(self.raw), artifact_type=self.artifact_type)


def shared_members(raw: bytes, document: Document, media_type: str, algorithm: str, what: str) -> dict[str, Any]:
    """Return the members of Envelope, for the `document` that `raw` holds. Raise InvalidInput, naming the field."""
    return {
        "raw": raw,
        "digest": Digest.of(raw, algorithm),
        "media_type": media_type,
        "subject": _subject(document, what),
        "artifact_type": text(document, "artifactType", what),
        "annotations": string_map(document, "annotations", what),
    }


def declared_type(document: Document, header: str | None, allowed: frozenset[str], default: str, what: str) -> str:
    """Return the type that a document says it has, else `header`, else `default`. Raise InvalidInput if two differ."""
    if integer(document, "schemaVersion", what) not in (0, 2):  # Go programs that do not set it write 0
        raise bad_field(what, "schemaVersion", "it must be 2")
    inside, outside = text(document, "mediaType", what), essence(header or "")
    if outside not in allowed:
        outside = ""
    if inside and inside not in allowed:
        raise bad_field(what, "mediaType", f"{inside!r} is not the type of an {what}")
    if inside and outside and inside != outside:
        raise bad_field(what, "mediaType", f"it says {inside}, but it was sent as {outside}")
    return inside or outside or default


def descriptors(document: Document, key: str, what: str) -> tuple[Descriptor, ...]:
    """Return the list of descriptors at `key`."""
    listed = objects(document, key, what)
    return tuple(Descriptor.from_json(item, what, f"{key}[{position}].") for position, item in enumerate(listed))


def _subject(document: Document, what: str) -> Descriptor | None:
    """Return the descriptor of the manifest that this one is about, where it has one."""
    subject = mapping(document, "subject", what)
    return None if subject is None else Descriptor.from_json(subject, what, "subject.")


def add_common(
    document: dict[str, Any], subject: Descriptor | None, artifact_type: str, annotations: Mapping[str, str] | None
) -> None:
    """Add to a new `document` the members that manifests and indexes share."""
    if subject is not None:
        document["subject"] = subject.to_json()
    if artifact_type:
        document["artifactType"] = artifact_type
    if annotations:
        document["annotations"] = dict(annotations)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Index(Envelope):
    """Manifests that belong together, one for each platform."""

    manifests: tuple[Descriptor, ...]

    @classmethod
    def parse(cls, raw: bytes, media_type: str | None = None, *, algorithm: str = DEFAULT) -> Index:
        """Return the index in `raw`; `media_type` is what the other side said it is, where it said anything.

        Raise InvalidInput, naming the field, for what is not an index or says two things at once.
        """
        document = decode_object(raw, _INDEX)
        declared = declared_type(document, media_type, INDEXES, OCI_INDEX, _INDEX)
        for foreign in ("layers", "config", "fsLayers"):
            if foreign in document:
                raise bad_field(_INDEX, foreign, "an index cannot be a manifest with layers as well")
        listed = descriptors(document, "manifests", _INDEX)
        return cls(manifests=listed, **shared_members(raw, document, declared, algorithm, _INDEX))

    @classmethod
    def build(
        cls,
        manifests: Sequence[Descriptor],
        media_type: str = OCI_INDEX,
        *,
        subject: Descriptor | None = None,
        artifact_type: str = "",
        annotations: Mapping[str, str] | None = None,
    ) -> Index:
        """Return a new index; the same parts always give the same bytes."""
        document: dict[str, Any] = {"schemaVersion": 2, "mediaType": media_type}
        document["manifests"] = [manifest.to_json() for manifest in manifests]
        add_common(document, subject, artifact_type, annotations)
        return cls.parse(encode(document), media_type)

    @property
    def images(self) -> tuple[Descriptor, ...]:
        """Return the entries that are images, without BuildKit's attestations."""
        return tuple(entry for entry in self.manifests if ATTESTATION not in entry.annotations)

    def select(self, platform: Platform) -> Descriptor:
        """Return the entry that suits platform `platform` best. Raise NotFound, which lists the platforms."""
        entries = self.images
        position = choose(platform, [entry.platform for entry in entries])
        if position is None:
            platforms = ", ".join(sorted({str(entry.platform) for entry in entries})) or "nothing"
            raise NotFound(f"No image for platform {platform} in the index", advice=f"It has {platforms}.")
        return entries[position]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Manifest(Envelope):
    """One image or artifact: a config and layers."""

    config: Descriptor
    layers: tuple[Descriptor, ...]

    @classmethod
    def parse(cls, raw: bytes, media_type: str | None = None, *, algorithm: str = DEFAULT) -> Manifest:
        """Return the manifest in `raw`; `media_type` is what the other side said it is, where it said anything.

        Raise InvalidInput, naming the field, for what is not a manifest or says two things at once.
        """
        document = decode_object(raw, _MANIFEST)
        declared = declared_type(document, media_type, MANIFESTS, OCI_MANIFEST, _MANIFEST)
        if "manifests" in document:
            raise bad_field(_MANIFEST, "manifests", "a manifest with layers cannot be an index as well")
        config = mapping(document, "config", _MANIFEST)
        if config is None:
            raise bad_field(_MANIFEST, "config", "it is missing")
        return cls(
            config=Descriptor.from_json(config, _MANIFEST, "config."),
            layers=descriptors(document, "layers", _MANIFEST),
            **shared_members(raw, document, declared, algorithm, _MANIFEST),
        )

    @classmethod
    def build(
        cls,
        config: Descriptor,
        layers: Sequence[Descriptor],
        media_type: str = OCI_MANIFEST,
        *,
        subject: Descriptor | None = None,
        artifact_type: str = "",
        annotations: Mapping[str, str] | None = None,
    ) -> Manifest:
        """Return a new manifest; the same parts always give the same bytes."""
        document: dict[str, Any] = {"schemaVersion": 2, "mediaType": media_type, "config": config.to_json()}
        document["layers"] = [layer.to_json() for layer in layers]
        add_common(document, subject, artifact_type, annotations)
        return cls.parse(encode(document), media_type)

    @property
    def is_image(self) -> bool:
        """Return whether this is a container image, and not an artifact of another kind."""
        return self.config.media_type in CONFIGS and all(is_layer(x.media_type) for x in self.layers)


def parse_manifest(raw: bytes, media_type: str | None = None, *, algorithm: str = DEFAULT) -> Manifest | Index:
    """Return the manifest or index in `raw`, told apart by `media_type`, its own `mediaType`, and at last by its
    members."""
    document = decode_object(raw, "manifest")
    declared = essence(media_type or "") or text(document, "mediaType", "manifest")
    if declared in (DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED) or document.get("schemaVersion") == 1:
        raise InvalidInput(
            "The image has a schema 1 manifest, which has been out of use since 2017",
            advice="Push it again with a current version of its builder.",
        )
    if declared in INDEXES or (declared not in MANIFESTS and "manifests" in document):
        return Index.parse(raw, media_type, algorithm=algorithm)
    return Manifest.parse(raw, media_type, algorithm=algorithm)
