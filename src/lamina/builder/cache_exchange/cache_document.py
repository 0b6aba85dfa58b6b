"""A cache as a document: which step made which layer.

The form is BuildKit's (moby/buildkit, cache/remotecache/v1/spec.go), and the keys are lamina's own. A record names the
key of a step's inputs and the step's one layer. That of a vertex of a graph has `outputs` instead, each a stack of
layers with its time. BuildKit's keys are digests of other values, so that neither engine finds a step of the other. The
member `lamina` tells who wrote a document.

An inline cache is a list of records in an image's config, whose layers are those of the image. There each record has
that member.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from lamina.builder.cache.records import Cached, CachedResult, CachedStep
from lamina.errors import InvalidInput, TooLarge
from lamina.formats.config import MOST_LAYERS as MOST_IN_IMAGE
from lamina.formats.descriptor import LAYERS, Descriptor
from lamina.formats.digest import Digest
from lamina.formats.document import Document, bad_field, decode_object, encode, integer, mapping, objects, text
from lamina.formats.times import parse_time

INLINE = "moby.buildkit.cache.v0"  # the member of an image's config
MEDIA_TYPE = "application/vnd.buildkit.cacheconfig.v0"
MOST_STEPS = 20_000
MOST_LAYERS = 10_000
_WHAT = "build cache"
_VERSION = 1
MOST_OUTPUTS = 1000  # of one vertex
Steps = dict[str, tuple[Cached, Mapping[Digest, Descriptor]]]  # by their keys, each with the blobs of its layers


class _Output(msgspec.Struct):
    layers: Annotated[list[Annotated[int, msgspec.Meta(ge=0)]], msgspec.Meta(max_length=MOST_IN_IMAGE)]
    time: int = 0


_Outputs = Annotated[list[_Output], msgspec.Meta(max_length=MOST_OUTPUTS)]


def write_document(steps: Sequence[Cached], blobs: Mapping[Digest, Descriptor]) -> bytes:
    """Return the document for `steps`. `blobs` are the compressed layers by diff-id."""
    positions = {diff_id: number for number, diff_id in enumerate(blobs)}
    layers = [_layer(diff_id, blob) for diff_id, blob in blobs.items()]
    records = [_record(step, positions) for step in steps]
    return encode({"layers": layers, "records": records, "lamina": {"version": _VERSION}})


def write_inline(steps: Sequence[Cached], diff_ids: Sequence[Digest]) -> str:
    """Return the inline cache of an image with these layers."""
    positions = {diff_id: number for number, diff_id in enumerate(diff_ids)}
    records = [{**_record(step, positions), "lamina": _VERSION} for step in steps]
    return b64encode(encode(records)).decode()


def _layer(diff_id: Digest, blob: Descriptor) -> dict[str, Any]:
    notes = {"mediaType": blob.media_type, "diffID": str(diff_id), "size": blob.size}
    return {"blob": str(blob.digest), "parent": -1, "annotations": notes}


def _record(step: Cached, positions: Mapping[Digest, int]) -> dict[str, Any]:
    record: dict[str, Any] = {"digest": step.key}
    if isinstance(step, CachedResult):
        outputs = [{"layers": [positions[layer] for layer in stack], "time": time} for stack, time in step.outputs]
        return record | {"outputs": outputs}
    if step.layer is not None:
        record["layers"] = [{"layer": positions[step.layer]}]
    return record | ({"created": step.created} if step.created else {})


def read_document(raw: bytes, blobs: Sequence[Descriptor]) -> Steps | None:
    """Return the steps by their keys, each with the blobs of its layers; None for a document of another engine.

    `blobs` are those that the cache's manifest lists. Raise InvalidInput for a document that is wrong or names another
    blob, TooLarge for one with too many steps.
    """
    document = decode_object(raw, _WHAT)
    own = mapping(document, "lamina", _WHAT)
    if own is None or own.get("version") != _VERSION:
        return None
    listed = {blob.digest: blob for blob in blobs if blob.media_type in LAYERS}
    members = objects(document, "layers", _WHAT)
    if len(members) > MOST_LAYERS:
        raise TooLarge(f"a build cache has at most {MOST_LAYERS} layers")
    layers = [_read_layer(member, listed, f"layers[{n}].") for n, member in enumerate(members)]
    return _read_records(objects(document, "records", _WHAT), layers)


def read_inline(text: str, layers: Sequence[tuple[Digest, Descriptor]]) -> Steps | None:
    """Return the steps of an inline cache as `read_document` does. `layers` are the image's, with their blobs."""
    try:
        raw = b64decode(text, validate=True)
    except ValueError as error:
        raise InvalidInput(f"the inline build cache is not in base64: {error}") from None
    # The list gets an object around it, as all documents have one.
    records = objects(decode_object(b'{"records":' + raw + b"}", _WHAT), "records", _WHAT)
    own = [record for record in records if record.get("lamina") == _VERSION]
    return _read_records(own, layers) if own or not records else None


def _read_records(records: Sequence[Document], layers: Sequence[tuple[Digest, Descriptor]]) -> Steps:
    if len(records) > MOST_STEPS or len(layers) > MOST_LAYERS:
        raise TooLarge(f"a build cache has at most {MOST_STEPS} steps and {MOST_LAYERS} layers")
    read = (_read_record(member, layers, f"records[{n}].") for n, member in enumerate(records))
    return {step.key: (step, blobs) for step, blobs in read}


def _read_layer(member: Document, listed: Mapping[Digest, Descriptor], where: str) -> tuple[Digest, Descriptor]:
    blob = listed.get(_digest(member, "blob", where))
    if blob is None:
        raise bad_field(_WHAT, f"{where}blob", "the manifest lists no such layer")
    notes = mapping(member, "annotations", _WHAT, where) or {}
    return _digest(notes, "diffID", f"{where}annotations."), blob


def _read_record(
    member: Document, layers: Sequence[tuple[Digest, Descriptor]], where: str
) -> tuple[Cached, Mapping[Digest, Descriptor]]:
    if "outputs" in member:
        return _read_outputs(member, layers, where)
    created = text(member, "created", _WHAT, where)
    try:
        parse_time(created or "1970-01-01T00:00:00Z")
    except ValueError:
        raise bad_field(_WHAT, f"{where}created", "a time such as 2024-01-31T12:00:00Z is needed") from None
    key, results = str(_digest(member, "digest", where)), objects(member, "layers", _WHAT, where)
    if not results:
        return CachedStep(key, None, created), {}
    position = integer(results[0], "layer", _WHAT, f"{where}layers[0].")
    if len(results) > 1 or not 0 <= position < len(layers):
        raise bad_field(_WHAT, f"{where}layers", "one layer of the document is needed")
    diff_id, blob = layers[position]
    return CachedStep(key, diff_id, created), {diff_id: blob}


def _read_outputs(
    member: Document, layers: Sequence[tuple[Digest, Descriptor]], where: str
) -> tuple[CachedResult, Mapping[Digest, Descriptor]]:
    try:
        outputs = msgspec.convert(member["outputs"], _Outputs)
        stacks = [[layers[position] for position in output.layers] for output in outputs]
    except (msgspec.ValidationError, IndexError):
        raise bad_field(_WHAT, f"{where}outputs", "stacks of layers of the document are needed") from None
    diff_ids = (tuple(diff_id for diff_id, _ in stack) for stack in stacks)
    times = (output.time for output in outputs)
    result = CachedResult(str(_digest(member, "digest", where)), tuple(zip(diff_ids, times, strict=True)))
    return result, dict(pair for stack in stacks for pair in stack)


def _digest(document: Document, name: str, where: str) -> Digest:
    try:
        return Digest.parse(text(document, name, _WHAT, where))
    except InvalidInput as error:
        raise bad_field(_WHAT, where + name, error.message) from error
