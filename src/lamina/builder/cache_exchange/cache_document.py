"""A cache as a document: which step made which layer.

The form is BuildKit's (moby/buildkit, cache/remotecache/v1/spec.go). A step stands in it twice: under lamina's key, and
under BuildKit's where that is certain (`buildkit_records.py`). A record of lamina's names the key of a step's inputs
and the step's one layer. That of a vertex of a graph has `outputs` instead, each a stack of layers with its time. A
record of BuildKit's has `inputs`, if only an empty list. The member `lamina` tells who wrote a document.

An inline cache is a list of records in an image's config, whose layers are those of the image. There each record of
lamina's has that member.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from lamina.builder.cache.records import Cached, CachedKey, CachedResult, CachedStep
from lamina.builder.cache_exchange.buildkit_records import DIFF_ID, KeyedLayer, KeyedRecords, KeyedWriter
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
MOST_RECORDS = 5 * MOST_STEPS  # those of the inputs included
MOST_ENTRIES = 2 * MOST_LAYERS  # a layer stands once for lamina, and once on the layers below it
MOST_OUTPUTS = 1000  # of one vertex
Steps = dict[str, tuple[Cached, Mapping[Digest, Descriptor]]]  # by their keys, each with the blobs of its layers


@dataclass(frozen=True, slots=True)
class CacheContents:
    """What a cache has: steps under lamina's keys, and records under BuildKit's."""

    steps: Steps
    keyed: KeyedRecords


class _Output(msgspec.Struct):
    layers: Annotated[list[Annotated[int, msgspec.Meta(ge=0)]], msgspec.Meta(max_length=MOST_IN_IMAGE)]
    time: int = 0


_Outputs = Annotated[list[_Output], msgspec.Meta(max_length=MOST_OUTPUTS)]


def write_document(steps: Sequence[Cached], blobs: Mapping[Digest, Descriptor]) -> bytes:
    """Return the document for `steps`. `blobs` are the compressed layers by diff-id."""
    positions = {diff_id: number for number, diff_id in enumerate(blobs)}
    layers = [_layer(diff_id, blob) for diff_id, blob in blobs.items()]
    records = [_record(step, positions) for step in steps if not isinstance(step, CachedKey)]
    keyed = KeyedWriter(blobs, len(records), len(layers))
    for step in steps:
        if isinstance(step, CachedKey):
            keyed.add(step)
    document = {"layers": [*layers, *keyed.layers], "records": [*records, *keyed.records]}
    return encode({**document, "lamina": {"version": _VERSION}})


def write_inline(steps: Sequence[Cached], diff_ids: Sequence[Digest]) -> str:
    """Return the inline cache of an image with these layers."""
    positions = {diff_id: number for number, diff_id in enumerate(diff_ids)}
    own = [step for step in steps if not isinstance(step, CachedKey)]
    records = [{**_record(step, positions), "lamina": _VERSION} for step in own]
    keyed = KeyedWriter({}, len(records), 0, stack=diff_ids)
    for step in steps:
        if isinstance(step, CachedKey) and step.layers == tuple(diff_ids[: len(step.layers)]):
            keyed.add(step)
    return b64encode(encode([*records, *keyed.records])).decode()


def _layer(diff_id: Digest, blob: Descriptor) -> dict[str, Any]:
    notes = {"mediaType": blob.media_type, "diffID": str(diff_id), "size": blob.size}
    return {"blob": str(blob.digest), "parent": -1, "annotations": notes}


def _record(step: CachedStep | CachedResult, positions: Mapping[Digest, int]) -> dict[str, Any]:
    record: dict[str, Any] = {"digest": step.key}
    if isinstance(step, CachedResult):
        outputs = [{"layers": [positions[layer] for layer in stack], "time": time} for stack, time in step.outputs]
        return record | {"outputs": outputs}
    if step.layer is not None:
        record["layers"] = [{"layer": positions[step.layer]}]
    return record | ({"created": step.created} if step.created else {})


def read_document(raw: bytes, blobs: Sequence[Descriptor]) -> CacheContents:
    """Return what a document has. One of another engine has no steps under lamina's keys.

    `blobs` are those that the cache's manifest lists. Raise InvalidInput for a document that is wrong or names another
    blob, TooLarge for one with too many steps.
    """
    document = decode_object(raw, _WHAT)
    own = mapping(document, "lamina", _WHAT)
    listed = {blob.digest: blob for blob in blobs if blob.media_type in LAYERS}
    members = objects(document, "layers", _WHAT)
    if len(members) > MOST_ENTRIES:
        raise TooLarge(f"a build cache has at most {MOST_ENTRIES} layers")
    layers = [_read_layer(member, listed, f"layers[{n}].") for n, member in enumerate(members)]
    records = objects(document, "records", _WHAT)
    is_own = own is not None and own.get("version") == _VERSION
    steps = [record for record in records if is_own and "inputs" not in record]
    return _contents(records, steps, layers)


def read_inline(text: str, layers: Sequence[tuple[Digest, Descriptor]]) -> CacheContents:
    """Return what an inline cache has, as `read_document` does. `layers` are the image's, with their blobs."""
    try:
        raw = b64decode(text, validate=True)
    except ValueError as error:
        raise InvalidInput(f"the inline build cache is not in base64: {error}") from None
    # The list gets an object around it, as all documents have one.
    records = objects(decode_object(b'{"records":' + raw + b"}", _WHAT), "records", _WHAT)
    own = [record for record in records if record.get("lamina") == _VERSION]
    chain = [KeyedLayer(diff_id, blob, number - 1) for number, (diff_id, blob) in enumerate(layers)]
    return _contents(records, own, chain)


def _contents(records: Sequence[Document], own: Sequence[Document], layers: Sequence[KeyedLayer]) -> CacheContents:
    """Return all records, of which lamina's `own` ones are steps too. Raise InvalidInput, TooLarge."""
    if len(records) > MOST_RECORDS:
        raise TooLarge(f"a build cache has at most {MOST_RECORDS} records")
    read = (_read_record(member, layers, f"records[{n}].") for n, member in enumerate(own))
    steps = {step.key: (step, blobs) for step, blobs in read}
    return CacheContents(steps, KeyedRecords.read(records, layers, _WHAT))


def _read_layer(member: Document, listed: Mapping[Digest, Descriptor], where: str) -> KeyedLayer:
    blob = listed.get(_digest(member, "blob", where))
    if blob is None:
        raise bad_field(_WHAT, f"{where}blob", "the manifest lists no such layer")
    notes = mapping(member, "annotations", _WHAT, where) or {}
    diff_id = notes.get("diffID") or blob.annotations.get(DIFF_ID)
    below = integer(member, "parent", _WHAT, where) if "parent" in member else 0  # Go leaves a zero out
    if diff_id is None:
        return KeyedLayer(None, blob, below)
    return KeyedLayer(_digest({"diffID": diff_id}, "diffID", f"{where}annotations."), blob, below)


def _read_record(
    member: Document, layers: Sequence[KeyedLayer], where: str
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
    diff_id, blob = _pair(layers[position])
    return CachedStep(key, diff_id, created), {diff_id: blob}


def _read_outputs(
    member: Document, layers: Sequence[KeyedLayer], where: str
) -> tuple[CachedResult, Mapping[Digest, Descriptor]]:
    try:
        outputs = msgspec.convert(member["outputs"], _Outputs)
        stacks = [[_pair(layers[position]) for position in output.layers] for output in outputs]
    except (msgspec.ValidationError, IndexError):
        raise bad_field(_WHAT, f"{where}outputs", "stacks of layers of the document are needed") from None
    diff_ids = (tuple(diff_id for diff_id, _ in stack) for stack in stacks)
    times = (output.time for output in outputs)
    result = CachedResult(str(_digest(member, "digest", where)), tuple(zip(diff_ids, times, strict=True)))
    return result, dict(pair for stack in stacks for pair in stack)


def _pair(layer: KeyedLayer) -> tuple[Digest, Descriptor]:
    """Return a layer's diff-id and blob. Raise InvalidInput where the document does not tell the diff-id."""
    if layer.diff_id is None:
        raise bad_field(_WHAT, "layers", f"the layer {layer.blob.digest} has no diff-id")
    return layer.diff_id, layer.blob


def _digest(document: Document, name: str, where: str) -> Digest:
    try:
        return Digest.parse(text(document, name, _WHAT, where))
    except InvalidInput as error:
        raise bad_field(_WHAT, where + name, error.message) from error
