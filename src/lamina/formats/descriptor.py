"""Descriptors: what a manifest says of each thing it points to, and the media types that they name.

The types are those of the OCI image-spec 1.1 (descriptor.md) and of Docker's image manifest v2 schema 2.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lamina.errors import InvalidInput
from lamina.formats.digest import Digest
from lamina.formats.document import Document, bad_field, integer, mapping, string_map, strings, text
from lamina.formats.platform import Platform

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = OCI_LAYER + "+gzip"
OCI_LAYER_ZSTD = OCI_LAYER + "+zstd"
OCI_FOREIGN_LAYER = "application/vnd.oci.image.layer.nondistributable.v1.tar"
OCI_FOREIGN_LAYER_GZIP = OCI_FOREIGN_LAYER + "+gzip"
OCI_FOREIGN_LAYER_ZSTD = OCI_FOREIGN_LAYER + "+zstd"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP = DOCKER_LAYER + ".gzip"
DOCKER_LAYER_ZSTD = DOCKER_LAYER + ".zstd"
DOCKER_FOREIGN_LAYER_GZIP = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"

OCTET_STREAM = "application/octet-stream"

MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
CONFIGS = frozenset({OCI_CONFIG, DOCKER_CONFIG})
LAYERS = frozenset({OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, DOCKER_LAYER, DOCKER_LAYER_GZIP, DOCKER_LAYER_ZSTD})
FOREIGN_LAYERS = frozenset(
    {OCI_FOREIGN_LAYER, OCI_FOREIGN_LAYER_GZIP, OCI_FOREIGN_LAYER_ZSTD, DOCKER_FOREIGN_LAYER_GZIP}
)

ACCEPTED = (OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST)  # what a client asks a registry for, best first
_KNOWN = frozenset(["mediaType", "digest", "size", "platform", "annotations", "urls", "data", "artifactType"])
MAX_SIZE = 2**63 - 1  # bytes; sizes are int64 in the specification


def is_layer(media_type: str) -> bool:
    """Return whether this is a file system changeset, foreign ones included."""
    return media_type in LAYERS or media_type in FOREIGN_LAYERS


def essence(content_type: str) -> str:
    """Return the media type of a Content-Type header, without parameters and in lower case."""
    return content_type.partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A typed pointer to content. `size` is in bytes; `data`, where given, is the content itself.

    `other` keeps members that this version of the specification does not know.
    """

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    urls: tuple[str, ...] = ()
    data: bytes | None = None
    artifact_type: str = ""
    other: Mapping[str, Any] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.media_type, self.digest, self.size))

    @classmethod
    def of(cls, media_type: str, raw: bytes) -> Descriptor:
        """Return the descriptor of `raw`."""
        return cls(media_type, Digest.of(raw), len(raw))

    @classmethod
    def from_json(cls, document: Document, what: str, where: str = "") -> Descriptor:
        """Return the descriptor object found at path `where` (with a final dot) of the document called `what`."""
        media_type = text(document, "mediaType", what, where)
        if not media_type:
            raise bad_field(what, where + "mediaType", "it is missing")
        size = integer(document, "size", what, where)
        if not 0 <= size <= MAX_SIZE:
            raise bad_field(what, where + "size", "it is out of range")
        platform = mapping(document, "platform", what, where)
        return cls(
            media_type,
            _digest(document, what, where),
            size,
            None if platform is None else Platform.from_json(platform, what, f"{where}platform."),
            string_map(document, "annotations", what, where),
            strings(document, "urls", what, where),
            _data(document, what, where),
            text(document, "artifactType", what, where),
            {key: value for key, value in document.items() if key not in _KNOWN},
        )

    def to_json(self) -> dict[str, Any]:
        """Return the object for a manifest; empty members are left out."""
        fields: dict[str, Any] = {**self.other, "mediaType": self.media_type}
        fields |= {"digest": str(self.digest), "size": self.size}
        if self.platform is not None:
            fields["platform"] = self.platform.to_json()
        if self.annotations:
            fields["annotations"] = dict(self.annotations)
        if self.urls:
            fields["urls"] = list(self.urls)
        if self.data is not None:
            fields["data"] = base64.b64encode(self.data).decode()
        if self.artifact_type:
            fields["artifactType"] = self.artifact_type
        return fields

    def check(self, content: bytes) -> bytes:
        """Return `content` if it is what this describes. Raise InvalidInput otherwise."""
        if len(content) != self.size or not self.digest.matches(content):
            raise InvalidInput(
                f"The content of {self.digest} has {len(content)} bytes with digest "
                f"{Digest.of(content, self.digest.algorithm)}, not {self.size}",
                expected=str(self.digest),
            )
        return content


def _digest(document: Document, what: str, where: str) -> Digest:
    written = text(document, "digest", what, where)
    try:
        return Digest.parse(written)
    except InvalidInput as error:
        raise bad_field(what, where + "digest", error.message) from error


def _data(document: Document, what: str, where: str) -> bytes | None:
    written = text(document, "data", what, where)
    if not written and document.get("data") is None:
        return None
    try:
        return base64.b64decode(written, validate=True)
    except (binascii.Error, ValueError) as error:
        raise bad_field(what, where + "data", "it is not base64") from error
