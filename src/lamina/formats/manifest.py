"""Image manifests: OCI's and Docker's schema 2 (OCI image-spec 1.1, manifest.md). Raw bytes are the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lamina.errors import InvalidInput
from lamina.formats import media
from lamina.formats.descriptor import Descriptor
from lamina.formats.digest import DEFAULT
from lamina.formats.document import bad_field, decode_object, encode, mapping, text
from lamina.formats.envelope import Envelope, add_common, declared_type, descriptors, shared_members
from lamina.formats.index import Index

WHAT = "image manifest"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Manifest(Envelope):
    """One image or artifact: a config and layers."""

    config: Descriptor
    layers: tuple[Descriptor, ...]

    @classmethod
    def parse(cls, raw: bytes, media_type: str | None = None, *, algorithm: str = DEFAULT) -> Manifest:
        """The manifest in `raw`; `media_type` is what the other side said it is, where it said anything.

        Raises InvalidInput, naming the field, for what is not a manifest or says two things at once.
        """
        document = decode_object(raw, WHAT)
        found = declared_type(document, media_type, media.MANIFESTS, media.OCI_MANIFEST, WHAT)
        if "manifests" in document:
            raise bad_field(WHAT, "manifests", "a manifest with layers cannot be an index as well")
        config = mapping(document, "config", WHAT)
        if config is None:
            raise bad_field(WHAT, "config", "it is missing")
        return cls(
            config=Descriptor.from_json(config, WHAT, "config."),
            layers=descriptors(document, "layers", WHAT),
            **shared_members(raw, document, found, algorithm, WHAT),
        )

    @classmethod
    def build(
        cls,
        config: Descriptor,
        layers: Sequence[Descriptor],
        media_type: str = media.OCI_MANIFEST,
        *,
        subject: Descriptor | None = None,
        artifact_type: str = "",
        annotations: Mapping[str, str] | None = None,
    ) -> Manifest:
        """A new manifest; the same parts always give the same bytes."""
        document: dict[str, Any] = {"schemaVersion": 2, "mediaType": media_type, "config": config.to_json()}
        document["layers"] = [layer.to_json() for layer in layers]
        add_common(document, subject, artifact_type, annotations)
        return cls.parse(encode(document), media_type)

    @property
    def is_image(self) -> bool:
        """Whether this is a container image, and not an artifact of another kind."""
        return self.config.media_type in media.CONFIGS and all(media.is_layer(x.media_type) for x in self.layers)


def parse_manifest(raw: bytes, media_type: str | None = None, *, algorithm: str = DEFAULT) -> Manifest | Index:
    """The manifest or index in `raw`, told apart by `media_type`, its own `mediaType`, and at last by its members."""
    document = decode_object(raw, "manifest")
    declared = media.essence(media_type or "") or text(document, "mediaType", "manifest")
    if declared in (media.DOCKER_SCHEMA1, media.DOCKER_SCHEMA1_SIGNED) or document.get("schemaVersion") == 1:
        raise InvalidInput(
            "The image has a schema 1 manifest, which has been out of use since 2017",
            advice="Push it again with a current version of its builder.",
        )
    if declared in media.INDEXES or (declared not in media.MANIFESTS and "manifests" in document):
        return Index.parse(raw, media_type, algorithm=algorithm)
    return Manifest.parse(raw, media_type, algorithm=algorithm)
