"""The memory of what vertices made: keys to stacks of layers, in the store.

A record holds its layers, so they are there as long as it is. It is found again after a restart. The records that were
not used for longest go when there are too many, and all that no build uses when the cache is pruned.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from lamina.builder.ops.result import Result
from lamina.errors import NotFound
from lamina.formats.digest import Digest
from lamina.store.content import Collected
from lamina.store.store import Store
from lamina.store.transaction import Transaction

BUCKET = "graph-result"  # key → what the vertex made
ALIASES = "graph-alias"  # exact key → key of a record
MOST = 20_000  # records
_FRESH = 3600.0  # seconds in which a use is not written down again


class _Output(msgspec.Struct, array_like=True):
    layers: tuple[str, ...]
    time_ns: int


class _Record(msgspec.Struct, array_like=True):
    used: float  # seconds since the epoch
    outputs: tuple[_Output, ...]


def _owner(key: str, number: int) -> str:
    return f"graph:{key}:{number}"


class ResultRecords:
    """The records of one store. Thread-safe."""

    def __init__(self, store: Store, most: int = MOST) -> None:
        self._store = store
        self._most = most

    def find(self, key: str) -> list[Result] | None:
        """Return what a vertex with this key made, held by the present lease; None when it must run."""
        with self._store.read() as tx:
            alias = tx.get(ALIASES, key)
            own = key if alias is None else alias.decode()
            raw = tx.get(BUCKET, own)
        if raw is None:
            return None
        record = msgspec.msgpack.decode(raw, type=_Record)
        try:
            results = [self._result(output) for output in record.outputs]
        except NotFound:
            return None
        if time.time() - record.used > _FRESH:
            self._touch(own, record)
        return results

    def _result(self, output: _Output) -> Result:
        """Return an output. Raise NotFound for a layer that is gone."""
        lease = self._store.lease()
        with lease:
            digests = [Digest.parse(text) for text in output.layers]
            for digest in digests:
                if not lease.add(digest):
                    raise NotFound(f"layer {digest} is not in the store", digest=digest)
            return Result([self._store.layers.get(digest) for digest in digests], output.time_ns)

    def _touch(self, key: str, record: _Record) -> None:
        with self._store.transaction() as tx:
            if tx.get(BUCKET, key) is not None:
                record.used = time.time()
                tx.put(BUCKET, key, msgspec.msgpack.encode(record))

    def remember(self, key: str, results: Sequence[Result], exact: str | None = None) -> None:
        """Record what a vertex made. `exact` is another key under which it is found too."""
        outputs = tuple(
            _Output(tuple(str(layer.diff_id) for layer in result.layers), result.time_ns) for result in results
        )
        with self._store.transaction() as tx:
            tx.put(BUCKET, key, msgspec.msgpack.encode(_Record(time.time(), outputs)))
            for number, result in enumerate(results):
                tx.link(_owner(key, number), (), [layer.diff_id for layer in result.layers])
            if exact is not None and exact != key:
                tx.put(ALIASES, exact, key.encode())
            if key.endswith("00"):  # one in 256: counting takes time
                self._drop_oldest(tx)

    def add_alias(self, exact: str, key: str) -> None:
        """Have a record found under another key too."""
        with self._store.transaction() as tx:
            tx.put(ALIASES, exact, key.encode())

    def _drop_oldest(self, tx: Transaction) -> None:
        records = [(msgspec.msgpack.decode(raw, type=_Record).used, key) for key, raw in tx.items(BUCKET)]
        for _, key in sorted(records)[: max(0, len(records) - self._most)]:
            self._drop(tx, key)
        for exact, raw in list(tx.items(ALIASES)):
            if tx.get(BUCKET, raw.decode()) is None:
                tx.delete(ALIASES, exact)

    def _drop(self, tx: Transaction, key: str) -> None:
        raw = tx.get(BUCKET, key)
        if raw is not None:
            for number in range(len(msgspec.msgpack.decode(raw, type=_Record).outputs)):
                tx.unlink(_owner(key, number))
            tx.delete(BUCKET, key)

    def prune(self, reserved: int = 0) -> Collected:
        """Forget the records that were not used for longest, until what is left holds at most `reserved` bytes.

        Return the layers that went with them, and their bytes. Layers that a build uses stay until it ends.
        """
        with self._store.transaction() as tx:
            records = [(key, msgspec.msgpack.decode(raw, type=_Record)) for key, raw in tx.items(BUCKET)]
            records.sort(key=lambda pair: pair[1].used, reverse=True)
            sizes: dict[str, int] = {}
            for key, record in records:
                new = self._sizes({layer for output in record.outputs for layer in output.layers} - sizes.keys())
                sizes |= new
                if not reserved or sum(sizes.values()) > reserved:
                    self._drop(tx, key)
            for exact, raw in list(tx.items(ALIASES)):
                if tx.get(BUCKET, raw.decode()) is None:
                    tx.delete(ALIASES, exact)
        return Collected(tx.dropped, sum(sizes.get(str(digest), 0) for digest in tx.dropped))

    def _sizes(self, layers: set[str]) -> dict[str, int]:
        """Return the bytes on disk of layers, 0 for lost ones."""
        digests = [Digest.parse(text) for text in layers if self._store.layers.has(Digest.parse(text))]
        sizes = self._store.layers.sizes(digests)
        known = {str(digest): size.tar_bytes + size.index_bytes for digest, size in zip(digests, sizes, strict=True)}
        return {layer: known.get(layer, 0) for layer in layers}
