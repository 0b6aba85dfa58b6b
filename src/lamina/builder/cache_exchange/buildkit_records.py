"""The records of a cache under BuildKit's keys: read from its documents and looked up, and written for it.

Rule: moby/buildkit, cache/remotecache/v1 (spec.go, parse.go, cachestorage.go). A record has a digest and links to those
of its inputs. Its result is a layer with all that it stands on: each layer names the one below it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec

from lamina.builder.buildkit_keys.key_records import KeyRecord
from lamina.builder.cache.records import CachedKey
from lamina.errors import InvalidInput, TooLarge
from lamina.formats.config import MOST_LAYERS as MOST_IN_IMAGE
from lamina.formats.descriptor import Descriptor
from lamina.formats.digest import Digest

DIFF_ID = "containerd.io/uncompressed"  # the annotation of a layer's descriptor
MOST_LINKS = 200_000
EMPTY_LAYER = Digest.parse("sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef")
"""The diff-id of a tar without members: BuildKit has such a layer where a step changed nothing."""
_CREATED = "1970-01-01T00:00:00Z"
_Index = Annotated[int, msgspec.Meta(ge=0)]


class _Link(msgspec.Struct):
    link: _Index
    selector: str = ""


class _Layer(msgspec.Struct):
    layer: _Index


class _Chain(msgspec.Struct):
    layers: Annotated[list[_Index], msgspec.Meta(max_length=MOST_IN_IMAGE)]


class _Record(msgspec.Struct):
    digest: str
    inputs: list[list[_Link]] | None = None
    layers: list[_Layer] | None = None
    chains: list[_Chain] | None = None


def _size(record: _Record) -> int:
    """Return the number of links and results of a record."""
    return sum(len(links) + 1 for links in record.inputs or ()) + len(record.layers or ()) + len(record.chains or ())


@dataclass(frozen=True, slots=True)
class KeyedLayer:
    """A layer of a cache: its diff-id, None where that is not told, its blob, and the layer below, -1 for none."""

    diff_id: Digest | None
    blob: Descriptor
    below: int


@dataclass(slots=True)
class KeyedRecords:
    """The records of one cache. Thread-safe: what is remembered is the same whoever finds it."""

    layers: Sequence[KeyedLayer]
    _records: Sequence[_Record]
    _by_digest: Mapping[str, Sequence[int]]
    _matches: dict[str, frozenset[int]] = field(default_factory=dict)

    @classmethod
    def read(cls, records: Sequence[Mapping[str, Any]], layers: Sequence[KeyedLayer], what: str) -> KeyedRecords:
        """Return the records of a document. Raise InvalidInput for wrong ones, TooLarge for too many links."""
        try:
            read = msgspec.convert(records, list[_Record])
        except msgspec.ValidationError as error:
            raise InvalidInput(f"{what}: {error}") from None
        if sum(map(_size, read)) > MOST_LINKS:
            raise TooLarge(f"a build cache has at most {MOST_LINKS} links")
        by_digest = defaultdict[str, list[int]](list)
        for number, record in enumerate(read):
            by_digest[record.digest].append(number)
        return cls(layers, read, by_digest)

    def chains(self, key: KeyRecord) -> Iterator[list[tuple[Digest, Descriptor]]]:
        """Yield the layers of each result that the cache has for a key, bottom first, without empty ones."""
        for number in sorted(self.matching(key)):
            record = self._records[number]
            for top in record.layers or ():
                if (chain := self._down_from(top.layer)) is not None:
                    yield chain
            for listed in record.chains or ():
                if (chain := self._all(listed.layers)) is not None:
                    yield chain

    def matching(self, key: KeyRecord) -> frozenset[int]:
        """Return the records that a key stands for: each of its inputs is reached by one of the links to it.

        Keys may be linked as deep as a Dockerfile is long, so nothing recurses.
        """
        waiting = [key]
        while waiting:
            top = waiting[-1]
            links = [link.record for each in top.inputs for link in each]
            pending = [record for record in links if record.identity not in self._matches]
            if pending:
                waiting += pending
                continue
            waiting.pop()
            if top.identity not in self._matches:
                self._matches[top.identity] = self._matching_of(top)
        return self._matches[key.identity]

    def _matching_of(self, key: KeyRecord) -> frozenset[int]:
        """Return the records of a key whose inputs are looked up already."""
        reached = [
            {(link.selector, number) for link in links for number in self._matches[link.record.identity]}
            for links in key.inputs
        ]
        numbers = self._by_digest.get(key.digest, ()) if all(reached) else ()
        return frozenset(number for number in numbers if self._fits(self._records[number], reached))

    @staticmethod
    def _fits(record: _Record, reached: Sequence[set[tuple[str, int]]]) -> bool:
        inputs = record.inputs or []
        return len(inputs) == len(reached) and all(
            any((link.selector, link.link) in places for link in links)
            for links, places in zip(inputs, reached, strict=True)
        )

    def _down_from(self, top: int) -> list[tuple[Digest, Descriptor]] | None:
        positions: list[int] = []
        while top >= 0:
            if top >= len(self.layers) or len(positions) == MOST_IN_IMAGE:
                return None
            positions.append(top)
            top = self.layers[top].below
        return self._all(positions[::-1])

    def _all(self, positions: Iterable[int]) -> list[tuple[Digest, Descriptor]] | None:
        chain: list[tuple[Digest, Descriptor]] = []
        for position in positions:
            layer = self.layers[position] if position < len(self.layers) else None
            if layer is None or layer.diff_id is None:
                return None
            if layer.diff_id != EMPTY_LAYER:
                chain.append((layer.diff_id, layer.blob))
        return chain


class KeyedWriter:
    """Puts records and layers together for a document. `start` is the number of the first record.

    `stack` are layers that need no entry: those of the image whose config has the cache.
    """

    def __init__(
        self, blobs: Mapping[Digest, Descriptor], start: int, first_layer: int, *, stack: Sequence[Digest] = ()
    ) -> None:
        self._blobs = blobs
        self._start = start
        self._first_layer = first_layer
        self._numbers: dict[str, int] = {}
        self._chains = {tuple(stack[:length]): length - 1 for length in range(len(stack) + 1)}
        self.records: list[dict[str, Any]] = []
        self.layers: list[dict[str, Any]] = []

    def add(self, step: CachedKey) -> None:
        """Add a step's key with its result, and the keys that it links to."""
        record = self.records[self._number(step.record) - self._start]
        if step.layers and "layers" not in record:
            record["layers"] = [{"layer": self._chain(step.layers), "createdAt": _CREATED}]

    def _number(self, key: KeyRecord) -> int:
        waiting = [key]
        while waiting:
            top = waiting[-1]
            missing = [
                link.record for links in top.inputs for link in links if link.record.identity not in self._numbers
            ]
            if missing:
                waiting += missing
                continue
            waiting.pop()
            if top.identity not in self._numbers:
                self._numbers[top.identity] = self._start + len(self.records)
                self.records.append({"digest": top.digest, "inputs": [self._links(links) for links in top.inputs]})
        return self._numbers[key.identity]

    def _links(self, links: Iterable[Any]) -> list[dict[str, Any]]:
        return [
            {**({"selector": link.selector} if link.selector else {}), "link": self._numbers[link.record.identity]}
            for link in links
        ]

    def _chain(self, layers: tuple[Digest, ...]) -> int:
        for length in range(1, len(layers) + 1):
            stack = layers[:length]
            if stack not in self._chains:
                self._chains[stack] = self._first_layer + len(self.layers)
                blob = self._blobs[stack[-1]]
                notes = {"mediaType": blob.media_type, "diffID": str(stack[-1]), "size": blob.size}
                below = self._chains[stack[:-1]]
                self.layers.append({"blob": str(blob.digest), "parent": below, "annotations": notes})
        return self._chains[layers]
