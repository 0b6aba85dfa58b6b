"""Image indexes, also called manifest lists (OCI image-spec 1.1, image-index.md). Raw bytes are the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lamina.errors import NotFound
from lamina.formats import media
from lamina.formats.descriptor import Descriptor
from lamina.formats.digest import DEFAULT
from lamina.formats.document import bad_field, decode_object, encode
from lamina.formats.envelope import Envelope, add_common, declared_type, descriptors, shared_members
from lamina.formats.platform import Platform, choose

WHAT = "image index"
ATTESTATION = "vnd.docker.reference.type"  # annotation of BuildKit's entries that are no images


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Index(Envelope):
    """Manifests that belong together, one for each platform."""

    manifests: tuple[Descriptor, ...]

    @classmethod
    def parse(cls, raw: bytes, media_type: str | None = None, *, algorithm: str = DEFAULT) -> Index:
        """The index in `raw`; `media_type` is what the other side said it is, where it said anything.

        Raises InvalidInput, naming the field, for what is not an index or says two things at once.
        """
        document = decode_object(raw, WHAT)
        found = declared_type(document, media_type, media.INDEXES, media.OCI_INDEX, WHAT)
        for foreign in ("layers", "config", "fsLayers"):
            if foreign in document:
                raise bad_field(WHAT, foreign, "an index cannot be a manifest with layers as well")
        listed = descriptors(document, "manifests", WHAT)
        return cls(manifests=listed, **shared_members(raw, document, found, algorithm, WHAT))

    @classmethod
    def build(
        cls,
        manifests: Sequence[Descriptor],
        media_type: str = media.OCI_INDEX,
        *,
        subject: Descriptor | None = None,
        artifact_type: str = "",
        annotations: Mapping[str, str] | None = None,
    ) -> Index:
        """A new index; the same parts always give the same bytes."""
        document: dict[str, Any] = {"schemaVersion": 2, "mediaType": media_type}
        document["manifests"] = [manifest.to_json() for manifest in manifests]
        add_common(document, subject, artifact_type, annotations)
        return cls.parse(encode(document), media_type)

    @property
    def images(self) -> tuple[Descriptor, ...]:
        """The entries that are images, without BuildKit's attestations."""
        return tuple(entry for entry in self.manifests if ATTESTATION not in entry.annotations)

    def select(self, wanted: Platform) -> Descriptor:
        """The entry that suits a machine of platform `wanted` best; NotFound, listing what is there, if none does."""
        entries = self.images
        position = choose(wanted, [entry.platform for entry in entries])
        if position is None:
            there = ", ".join(sorted({str(entry.platform) for entry in entries})) or "nothing"
            raise NotFound(f"No image for platform {wanted} in the index", advice=f"It has {there}.")
        return entries[position]
