"""Which attestations a build is asked for.

Rule: moby/buildkit, frontend/attestations/parse.go: `attest:TYPE` among a frontend's attributes, with fields in CSV.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lamina.errors import InvalidInput

_PREFIXES = ("attest:", "build-arg:BUILDKIT_ATTEST_")
_PARAMETER = re.compile(r"\w+", re.ASCII)
_VERSIONS = ("v1", "v0.2")
_TRUE, _FALSE = ("1", "t", "true"), ("0", "f", "false")


@dataclass(frozen=True, slots=True)
class ProvenanceOptions:
    """What the provenance tells. `full` is the mode "max": the request with its arguments, and the Dockerfile.

    An `inline_only` one is only in images, never a file beside others.
    """

    full: bool = True
    version: str = "v1"
    builder_id: str = ""
    reproducible: bool = False
    inline_only: bool = False
    file_name: str = "provenance.json"
    complete_materials: bool = False


@dataclass(frozen=True, slots=True)
class Generator:
    """The image that reads packages, and what it is told beside, by the names of its environment variables."""

    image: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.parameters:
            if not _PARAMETER.fullmatch(name):
                raise InvalidInput(
                    f"invalid parameter {name!r} of the SBOM generator", advice="Use letters and digits."
                )


@dataclass(frozen=True, slots=True)
class AttestationOptions:
    """The attestations that a build is asked for. Without a `generator` the packages are read here."""

    provenance: ProvenanceOptions | None = None
    packages: bool = False
    generator: Generator | None = None

    @property
    def any(self) -> bool:
        """Return whether there is any."""
        return self.packages or self.provenance is not None

    @classmethod
    def of(cls, attributes: Mapping[str, str]) -> AttestationOptions:
        """Return what a frontend's attributes ask for. Raise InvalidInput."""
        texts = {}
        for name, value in attributes.items():
            for prefix in _PREFIXES:
                if name.startswith(prefix):
                    texts[name.removeprefix(prefix).lower()] = value
        return cls.parse(texts)

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> AttestationOptions:
        """Return the options in the attributes of `provenance` and `sbom`. Raise InvalidInput."""
        provenance, packages, generator = None, False, None
        for kind, text in texts.items():
            fields = _fields(text)
            if kind not in ("provenance", "sbom"):
                raise InvalidInput(f'unknown attestation type "{kind}"', advice="Known are provenance and sbom.")
            if _flag(fields, "disabled") or text.lower() in _FALSE:
                continue
            if kind == "provenance":
                provenance = _provenance(fields)
            else:
                packages = True
                generator = _generator(text)
        return cls(provenance, packages, generator)


def _fields(text: str) -> dict[str, str]:
    if text.lower() in (*_TRUE, *_FALSE):
        return {}
    rows = next(csv.reader([text]), []) if text else []
    pairs = (field.partition("=") for field in rows)
    return {name.strip().lower(): value for name, _, value in pairs}


def _flag(fields: Mapping[str, str], name: str) -> bool:
    if name not in fields:
        return False
    text = fields[name].lower()
    if text not in ("", *_TRUE, *_FALSE):
        raise InvalidInput(f'failed to parse {name} flag "{fields[name]}"', advice="Write true or false.")
    return text in ("", *_TRUE)


def _provenance(fields: Mapping[str, str]) -> ProvenanceOptions:
    mode, version = fields.get("mode", "max"), fields.get("version", "v1")
    if mode not in ("min", "max", "full"):
        raise InvalidInput(f'invalid mode "{mode}"', advice="Choose min or max.")
    if version not in _VERSIONS:
        raise InvalidInput(f"invalid provenance SLSA version: {version}", advice="Choose v1 or v0.2.")
    return ProvenanceOptions(
        full=mode != "min",
        version=version,
        builder_id=fields.get("builder-id", ""),
        reproducible=_flag(fields, "reproducible"),
        inline_only=_flag(fields, "inline-only"),
        file_name=fields.get("filename", "provenance.json"),
        complete_materials=_flag(fields, "complete-materials"),
    )


def _generator(text: str) -> Generator | None:
    """Return the generator that `sbom` names, None for none. The other fields are its parameters, in any case."""
    rows = next(csv.reader([text]), []) if text else []
    pairs = {name.strip(): value for name, equals, value in (row.partition("=") for row in rows) if equals}
    image = pairs.pop("generator", "")
    return Generator(image, {name: value for name, value in pairs.items() if name != "disabled"}) if image else None
