"""The attributes of an exporter of images as values. Attributes that no exporter knows are ignored, as BuildKit does.

Rule: moby/buildkit, exporter/containerimage/opts.go and export.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lamina.builder.export.annotations import Annotations
from lamina.errors import InvalidInput, Unsupported
from lamina.layers.compression import Compression

_TRUE = ("", "1", "t", "true")
_FALSE = ("0", "f", "false")
_COMPRESSIONS = {"uncompressed": Compression.NONE, "gzip": Compression.GZIP, "zstd": Compression.ZSTD}
_HIGHEST = {Compression.NONE: 0, Compression.GZIP: 9, Compression.ZSTD: 22}
EPOCH = "source-date-epoch"
_GZIP_LEVELS = 3  # our encoder's, for the nine of others


@dataclass(frozen=True, slots=True)
class LayerForm:
    """How layers are written. Without `force` a base image's layers stay as they came."""

    compression: Compression
    level: int | None = None
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOptions:
    """What an image is to look like, and where it goes. `form` is None where the user leaves it open.

    `epoch` is SOURCE_DATE_EPOCH in seconds, where the output names one; `has_epoch` with no `epoch` sets no times.
    """

    names: tuple[str, ...] = ()
    push: bool = False
    push_by_digest: bool = False
    store: bool = True
    name_canonical: bool = False
    form: LayerForm | None = None
    oci_types: bool = True
    oci_artifact: bool = False
    inline_attestations: bool = True
    annotations: Annotations = field(default_factory=Annotations)
    rewrite_timestamp: bool = False
    epoch: int | None = None
    has_epoch: bool = False
    tar: bool = True

    @classmethod
    def parse(cls, attributes: Mapping[str, str], kind: str) -> ImageOptions:
        """Return the options among the attributes of an exporter of `kind`. Raise InvalidInput, Unsupported."""
        own = kind in ("docker", "oci")
        options = cls(
            names=tuple(name for name in attributes.get("name", "").split(",") if name),
            push=flag(attributes, "push", kind == "registry"),
            push_by_digest=flag(attributes, "push-by-digest", False),
            store=flag(attributes, "store", True),
            name_canonical=flag(attributes, "name-canonical", False),
            form=layer_form(attributes),
            oci_types=flag(attributes, "oci-mediatypes", True),
            oci_artifact=flag(attributes, "oci-artifact", False),
            inline_attestations=flag(attributes, "attestation-inline", not own),
            annotations=Annotations.parse(attributes),
            rewrite_timestamp=flag(attributes, "rewrite-timestamp", False),
            epoch=epoch_of(attributes, None),
            has_epoch=EPOCH in attributes,
            tar=flag(attributes, "tar", True),
        )
        options.check()
        return options

    def check(self) -> None:
        """Raise InvalidInput for options that exclude each other."""
        if self.oci_types:
            return
        if self.form is not None and self.form.compression is Compression.ZSTD:
            raise InvalidInput('exporter option "compression=zstd" conflicts with "oci-mediatypes=false"')
        if self.oci_artifact:
            raise InvalidInput('exporter option "oci-artifact=true" conflicts with "oci-mediatypes=false"')
        if any(entry.place != "manifest" for entry in self.annotations.entries):
            raise InvalidInput('cannot export annotations with "oci-mediatypes=false"')


def flag(attributes: Mapping[str, str], name: str, default: bool) -> bool:
    """Return a boolean attribute; one without a value is true. Raise InvalidInput."""
    if name not in attributes:
        return default
    text = attributes[name].lower()
    if text not in _TRUE + _FALSE:
        raise InvalidInput(f"non-bool value specified for {name}: {attributes[name]}", advice="Write true or false.")
    return text in _TRUE


def layer_form(attributes: Mapping[str, str]) -> LayerForm | None:
    """Return how layers are to be compressed, None where the user leaves it open. Raise InvalidInput, Unsupported."""
    name = attributes.get("compression")
    force = flag(attributes, "force-compression", False)
    written = attributes.get("compression-level", "")
    if name is None and not force and not written:
        return None
    compression = _COMPRESSIONS.get(name or "gzip")
    if compression is None:
        raise Unsupported(
            f"layers cannot be compressed by {name}", advice=f"Choose one of {', '.join(_COMPRESSIONS)}.", name=name
        )
    return LayerForm(compression, _level(compression, written), force)


def _level(compression: Compression, written: str) -> int | None:
    """Return the encoder's level for the one written, which for gzip goes up to 9."""
    if not written or compression is Compression.NONE:
        return None
    if not written.isdecimal() or int(written) > _HIGHEST[compression]:
        raise InvalidInput(
            f"compression-level {written} is no level of {compression.value}",
            advice=f"Choose one from 0 to {_HIGHEST[compression]}.",
        )
    level = int(written)
    if compression is Compression.GZIP:
        return -(-level // _GZIP_LEVELS)
    return level or None


def epoch_of(attributes: Mapping[str, str], otherwise: int | None) -> int | None:
    """Return SOURCE_DATE_EPOCH among the attributes, None for an empty one, and `otherwise` without one.

    Raise InvalidInput for what is no number.
    """
    text = attributes.get(EPOCH)
    if not text:
        return otherwise if text is None else None
    try:
        return int(text)
    except ValueError:
        raise InvalidInput(f"invalid source-date-epoch: {text}", advice="Write seconds since 1970.") from None
