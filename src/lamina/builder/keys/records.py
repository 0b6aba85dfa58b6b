"""The memory of what vertices made: keys to stacks of layers, in the store.

A record holds its layers, so they are there as long as it is. It is found again after a restart. The records that were
not used for longest go when there are too many, and when the cache is pruned.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import msgspec

from lamina.api.build_cache import CacheObject
from lamina.builder.ops.result import Result
from lamina.errors import NotFound
from lamina.formats.digest import Digest
from lamina.formats.text import valid_unicode
from lamina.store.store import Store
from lamina.store.transaction import Transaction

BUCKET = "graph-result"  # key → what the vertex made
ALIASES = "graph-alias"  # exact key → key of a record
MOST = 20_000  # records
_LONGEST = 500  # characters of a description
_FRESH = 3600.0  # seconds in which a use is not written down again


class _Output(msgspec.Struct, array_like=True):
    layers: tuple[str, ...]
    time_ns: int


class _Record(msgspec.Struct, array_like=True):
    used: float  # seconds since the epoch
    outputs: tuple[_Output, ...]
    description: str = ""  # the vertex's name


def _owner(key: str, number: int) -> str:
    return f"graph:{key}:{number}"


class ResultRecords:
    """The records of one store. Thread-safe."""

    def __init__(self, store: Store, most: int = MOST) -> None:
        self._store = store
        self._most = most

    def find(self, key: str) -> list[Result] | None:
        """Return what a vertex with this key made, held by the present lease; None when it must run."""
        record = self.find_exact(key)
        return None if record is None else record[1]

    def find_exact(self, key: str) -> tuple[str, list[Result]] | None:
        """Return what a vertex with this key made as `find` does, with the key under which it was recorded."""
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
        return own, results

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

    def remember(self, key: str, results: Sequence[Result], exact: str | None = None, description: str = "") -> None:
        """Record what a vertex made. `exact` is another key under which it is found too."""
        outputs = tuple(
            _Output(tuple(str(layer.diff_id) for layer in result.layers), result.time_ns) for result in results
        )
        with self._store.transaction() as tx:
            tx.put(
                BUCKET,
                key,
                msgspec.msgpack.encode(_Record(time.time(), outputs, valid_unicode(description[:_LONGEST]))),
            )
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

    def objects(self) -> Iterator[CacheObject]:
        """Yield each record as an object of the cache. Its size is that of the layers that the vertex made."""
        with self._store.read() as tx:
            records = [(key, msgspec.msgpack.decode(raw, type=_Record)) for key, raw in tx.items(BUCKET)]
        for key, record in records:
            made = {Digest.parse(output.layers[-1]) for output in record.outputs if output.layers}
            sizes = self._store.layers.sizes([digest for digest in made if self._store.layers.has(digest)])
            yield CacheObject(
                id=key,
                type="regular",
                description=record.description,
                size=sum(size.tar_bytes + size.index_bytes for size in sizes),
                used=record.used,
            )

    def remove(self, key: str) -> bool:
        """Forget a record. Return whether there was one. Layers that others hold stay."""
        with self._store.transaction() as tx:
            is_there = tx.get(BUCKET, key) is not None
            self._drop(tx, key)
            for exact, raw in list(tx.items(ALIASES)):
                if raw.decode() == key:
                    tx.delete(ALIASES, exact)
        return is_there
