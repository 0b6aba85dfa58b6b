"""The flags of `build` that say what becomes of its result: outputs, annotations, attestations, and its metadata."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lamina.errors import InvalidInput

if TYPE_CHECKING:
    from lamina.api.build import BuildOutput, CacheOption

_DESCRIPTOR = "containerimage.descriptor"


def outputs(texts: Sequence[str], annotations: Sequence[str], *, push: bool, load: bool) -> tuple[BuildOutput, ...]:
    """Return what --output, --push, --load and --annotation ask for. Raise InvalidInput."""
    from lamina.api.build import BuildOutput

    asked = [_output(text) for text in texts]
    if push:
        asked.append(BuildOutput("image", {"push": "true"}))
    if load and not any(output.type in ("docker", "image") for output in asked):
        asked.append(BuildOutput("docker"))
    if annotations and not asked:
        asked.append(BuildOutput("image"))
    notes = dict(pair for text in annotations for pair in _annotation(text))
    return tuple(
        output if output.type in ("local", "tar") else BuildOutput(output.type, notes | output.attrs)
        for output in asked
    )


def _output(text: str) -> BuildOutput:
    from lamina.api.build import BuildOutput

    if text == "-":
        return BuildOutput("tar", {"dest": "-"})
    fields = _fields(text)
    if len(fields) == 1 and not fields[0].startswith("type="):
        return BuildOutput("local", {"dest": text})
    attrs: dict[str, str] = {}
    for field in fields:
        name, equals, value = field.partition("=")
        if not equals:
            raise InvalidInput(f"invalid value {field} in output {text!r}", advice="Write type=TYPE,KEY=VALUE,…")
        attrs[name.strip().lower() if not name.startswith("annotation") else name] = value
    kind = attrs.pop("type", "")
    if not kind:
        raise InvalidInput(f"type is required for output {text!r}", advice="Write type=local, oci, image, …")
    if kind in ("oci", "tar") and "dest" not in attrs:
        attrs["dest"] = "-"
    if "dest" in attrs and attrs["dest"] != "-":
        attrs["dest"] = os.path.expanduser(attrs["dest"])
    return BuildOutput(kind, attrs)


def caches(texts: Sequence[str]) -> tuple[CacheOption, ...]:
    """Return what --cache-to and --cache-from ask for; a name alone is one at a registry. Raise InvalidInput."""
    from lamina.api.build import CacheOption

    asked = []
    for text in texts:
        fields = _fields(text)
        if fields == [text] and "=" not in text:
            fields = ["type=registry", f"ref={text}"]
        attrs = {}
        for field in fields:
            name, equals, value = field.partition("=")
            if not equals:
                raise InvalidInput(f"invalid value {field} in cache {text!r}", advice="Write type=TYPE,KEY=VALUE,…")
            attrs[name.strip().lower()] = value
        kind = attrs.pop("type", "")
        if not kind:
            raise InvalidInput(f"type is required for cache {text!r}", advice="Write type=registry,ref=NAME.")
        asked.append(CacheOption(kind, attrs))
    return tuple(asked)


def _annotation(text: str) -> list[tuple[str, str]]:
    """Return the attributes of an annotation: `[PLACE[PLATFORM],…:]KEY=VALUE`. Rule: docker/buildx, --annotation."""
    head, equals, value = text.partition("=")
    if not equals:
        raise InvalidInput(f"invalid annotation {text!r}, expected key=value")
    places, colon, key = head.rpartition(":")
    if not colon:
        return [(f"annotation.{head}", value)]
    return [(f"annotation-{place.strip()}.{key}", value) for place in places.split(",")]


def attestations(provenance: str, sbom: str, attest: Sequence[str]) -> dict[str, str]:
    """Return what --provenance, --sbom and --attest ask for, by type. Raise InvalidInput."""
    asked = {}
    for text in attest:
        fields = _fields(text)
        kinds = [field.partition("=")[2] for field in fields if field.startswith("type=")]
        if len(kinds) != 1:
            raise InvalidInput(f"attestation {text!r} needs one type", advice="Write type=provenance or type=sbom.")
        asked[kinds[0]] = ",".join(field for field in fields if not field.startswith("type="))
    named = {"provenance": provenance, "sbom": sbom}
    return asked | {name: text for name, text in named.items() if text}


def write_metadata(path: str, metadata: Mapping[str, str]) -> None:
    """Write what the outputs told as JSON, with the descriptor as an object, as buildx writes it. "" is no file."""
    if not path:
        return
    document: dict[str, object] = dict(metadata)
    if _DESCRIPTOR in metadata:
        document[_DESCRIPTOR] = json.loads(base64.b64decode(metadata[_DESCRIPTOR]))
    with open(path, "w") as file:
        json.dump(document, file, indent=2, sort_keys=True)


def _fields(text: str) -> list[str]:
    """Return the fields of a flag, in which quotes may stand around commas."""
    import csv  # a millisecond that most builds need not spend

    return next(csv.reader([text]), [])
