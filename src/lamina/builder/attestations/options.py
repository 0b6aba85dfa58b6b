"""Which attestations a build is asked for.

Rule: moby/buildkit, frontend/attestations/parse.go: `attest:TYPE` among a frontend's attributes, with fields in CSV.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass

from lamina.errors import InvalidInput, Unsupported

_PREFIXES = ("attest:", "build-arg:BUILDKIT_ATTEST_")
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
class AttestationOptions:
    """The attestations that a build is asked for."""

    provenance: ProvenanceOptions | None = None
    packages: bool = False

    @property
    def any(self) -> bool:
        """Return whether there is any."""
        return self.packages or self.provenance is not None

    @classmethod
    def of(cls, attributes: Mapping[str, str]) -> AttestationOptions:
        """Return what a frontend's attributes ask for. Raise InvalidInput, Unsupported."""
        texts = {}
        for name, value in attributes.items():
            for prefix in _PREFIXES:
                if name.startswith(prefix):
                    texts[name.removeprefix(prefix).lower()] = value
        return cls.parse(texts)

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> AttestationOptions:
        """Return the options in the attributes of `provenance` and `sbom`. Raise InvalidInput, Unsupported."""
        provenance, packages = None, False
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
                _check_generator(fields)
        return cls(provenance, packages)


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


def _check_generator(fields: Mapping[str, str]) -> None:
    if fields.get("generator"):
        raise Unsupported(
            f"the SBOM generator {fields['generator']} cannot be run: packages are read without one",
            advice="Leave generator= out.",
        )
