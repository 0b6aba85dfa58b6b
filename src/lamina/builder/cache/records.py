"""The records of steps: what a step was made of, and the image that has its files.

A record is a hint. It counts only while its image is here, and no record holds an image.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from lamina.builder.buildkit_keys.key_records import KeyRecord
from lamina.formats.digest import Digest
from lamina.formats.document import encode_key
from lamina.formats.text import valid_unicode
from lamina.images.record import IMAGES
from lamina.store.store import Store
from lamina.store.transaction import ReadTransaction, Transaction

RESULTS = "build-result"  # the key of a step's inputs → StepRecord
MOST_RECORDS = 10_000
FILE_STEPS = frozenset({"RUN", "COPY", "ADD", "WORKDIR"})  # whose results are looked up by their inputs
_LONGEST = 1000  # characters of an input that a record keeps, to show it

Inputs = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StepPlace:
    """Where a step stands: what it is compared with when it has to run.

    `project` is what consecutive builds of one Dockerfile have in common: the name of their image, or their folder.
    """

    keyword: str = ""
    instruction: str = ""
    project: str = ""
    stage: int = 0
    number: int = 0  # in its stage, 0 is FROM


@dataclass(frozen=True, slots=True)
class CachedStep:
    """What a step made, as another engine can use it.

    `key` stands for its inputs, `layer` is the diff-id of its changes, None for no change. `created` is the time of its
    image, "" for none.
    """

    key: str
    layer: Digest | None
    created: str = ""

    @property
    def layers(self) -> tuple[Digest, ...]:
        """Return the layers that it needs."""
        return () if self.layer is None else (self.layer,)


@dataclass(frozen=True, slots=True)
class CachedResult:
    """What a vertex of a graph made, as another engine can use it.

    `outputs` are stacks of layers by their diff-ids, each with the time of its newest input.
    """

    key: str
    outputs: tuple[tuple[tuple[Digest, ...], int], ...]

    @property
    def layers(self) -> tuple[Digest, ...]:
        """Return the layers that it needs."""
        return tuple(dict.fromkeys(layer for stack, _ in self.outputs for layer in stack))


@dataclass(frozen=True, slots=True)
class CachedKey:
    """What a step made, as BuildKit can use it: the key of the step, and all layers of its files, bottom first."""

    record: KeyRecord
    layers: tuple[Digest, ...]

    @property
    def key(self) -> str:
        """Return what tells this key from others."""
        return self.record.identity


Cached = CachedStep | CachedResult | CachedKey


class StepRecord(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of one step. `layer` is the diff-id of its changes, "" for none. Times are seconds since 1970."""

    image: str
    layer: str
    keyword: str
    instruction: str
    project: str
    stage: int
    number: int
    inputs: dict[str, str]
    made: float
    used: float


def result_key(keyword: str, inputs: Inputs) -> str:
    """Return the key of everything that decides about a step's files."""
    return str(Digest.of(encode_key([keyword, sorted(inputs.items())])))


def find_record(tx: ReadTransaction, key: str) -> StepRecord | None:
    """Return a record; None where there is none, or one that another version wrote."""
    raw = tx.get(RESULTS, key)
    return None if raw is None else _decoded(raw)


def all_records(tx: ReadTransaction) -> Iterator[tuple[str, StepRecord]]:
    """Yield all records that can be read, with their keys."""
    for key, raw in tx.items(RESULTS):
        if (record := _decoded(raw)) is not None:
            yield key, record


def write_record(tx: Transaction, key: str, place: StepPlace, inputs: Inputs, image: str, layer: str) -> None:
    """Remember what a step made of its inputs. Long inputs are cut, their keys are not."""
    now = time.time()
    record = StepRecord(
        image,
        layer,
        place.keyword,
        valid_unicode(place.instruction[:_LONGEST]),
        valid_unicode(place.project[:_LONGEST]),
        place.stage,
        place.number,
        {valid_unicode(name): shown(value) for name, value in inputs.items()},
        now,
        now,
    )
    tx.put(RESULTS, key, msgspec.msgpack.encode(record))


def touch_records(store: Store, keys: Iterable[str]) -> None:
    """Note that a build used these records just now. Forget the least recently used ones above `MOST_RECORDS`."""
    with store.transaction() as tx:
        for key in keys:
            record = find_record(tx, key)
            if record is not None:
                used = msgspec.structs.replace(record, used=time.time())
                tx.put(RESULTS, key, msgspec.msgpack.encode(used))
        if tx.count(RESULTS) > MOST_RECORDS:
            by_age = sorted(all_records(tx), key=lambda item: item[1].used)
            for key, _ in by_age[: len(by_age) - MOST_RECORDS]:
                tx.delete(RESULTS, key)


def forget_lost_records(tx: Transaction) -> None:
    """Drop the records whose image is gone, and those that cannot be read."""
    for key, raw in tx.items(RESULTS):
        record = _decoded(raw)
        if record is None or tx.get(IMAGES, record.image) is None:
            tx.delete(RESULTS, key)


def shown(value: str) -> str:
    """Return an input as a record keeps it: a long text is its beginning and the digest of the whole."""
    text = valid_unicode(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({Digest.of(text.encode())})"


def _decoded(raw: bytes) -> StepRecord | None:
    try:
        return msgspec.msgpack.decode(raw, type=StepRecord)
    except msgspec.DecodeError:
        return None
