"""Layers by diff-id: each is its tar, exactly as it came or was made, and the index that makes it mountable."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from lamina.cancellation import NEVER, Cancellation
from lamina.errors import Corrupt, NotFound
from lamina.formats.digest import Digest, new_hasher
from lamina.keylocks import KeyLocks
from lamina.layers.layer import Ingested, Layer
from lamina.layers.layer_writer import LayerBuilder
from lamina.store.content import ContentTable

_CHUNK = 1 << 20
_VALUES_KEPT = 10_000


class LayerSizes(NamedTuple):
    """Bytes of a layer's tar, of its index, and of the files in it."""

    tar_bytes: int
    index_bytes: int
    file_bytes: int


class LayerStore:
    """Layers on disk. Thread-safe."""

    def __init__(self, content: ContentTable) -> None:
        self._content = content
        self.arrivals: KeyLocks[Digest] = KeyLocks()
        """Held by whoever brings a layer from elsewhere, so that it is brought once however many pulls need it."""
        self._values: dict[Digest, Layer] = {}  # made once: the images of a deep build name each layer many times

    def has(self, diff_id: Digest) -> bool:
        """Return whether the layer is here, whole."""
        return self._content.find(diff_id, "layer") is not None

    def get(self, diff_id: Digest) -> Layer:
        """Return the layer. Raise NotFound."""
        row = self._content.find(diff_id, "layer")
        if row is None:
            raise NotFound(f"layer {diff_id} is not in the store", digest=diff_id)
        return self.at(diff_id, row.size)

    def at(self, diff_id: Digest, size: int) -> Layer:
        """Return the layer without asking the store. The caller holds the layer and knows its tar's `size`."""
        layer = self._values.get(diff_id)
        if layer is None or layer.size != size:
            if len(self._values) >= _VALUES_KEPT:
                self._values = {}
            layout = self._content.layout
            layer = Layer(diff_id=diff_id, size=size, tar=layout.tar(diff_id), index=layout.index(diff_id))
            self._values[diff_id] = layer
        return layer

    def sizes(self, diff_ids: Sequence[Digest]) -> list[LayerSizes]:
        """Return the sizes of many layers, with one query. Raise NotFound for the first that is not here."""
        query = """SELECT digest, size, extra, files FROM json_each(?)
                   JOIN content ON content.digest = json_each.value AND kind = 'layer'"""
        digests = json.dumps([str(diff_id) for diff_id in diff_ids])
        with self._content.database.read() as connection:
            sizes = {row[0]: LayerSizes(*row[1:]) for row in connection.execute(query, (digests,))}
        for diff_id in diff_ids:
            if str(diff_id) not in sizes:
                raise NotFound(f"layer {diff_id} is not in the store", digest=diff_id)
        return [sizes[str(diff_id)] for diff_id in diff_ids]

    def create(self) -> LayerIngest:
        """Begin a layer: a context manager with paths to write to."""
        return LayerIngest(self, self._content)

    def write(self, fill: Callable[[LayerBuilder], object], cancellation: Cancellation = NEVER) -> Layer | None:
        """Publish the layer that `fill` puts entries into; None when it puts in none.

        Raise NoSpace, Cancelled, and what `fill` raises; nothing is kept then.
        """
        with self.create() as pending:
            ingested = pending.fill(fill, cancellation)
            return pending.commit(ingested) if ingested.entries else None

    def verify(self, diff_id: Digest) -> None:
        """Hash the layer's tar again. Raise NotFound, or Corrupt with `expected` and `actual`."""
        layer = self.get(diff_id)
        actual = hash_file(layer.tar, diff_id.algorithm)
        if actual != diff_id:
            raise Corrupt(f"layer {diff_id} is damaged: its tar has digest {actual}", expected=diff_id, found=actual)


class LayerIngest:
    """A layer being written: fill `tar` and `index`, then `commit`. Leaving the block without it drops both."""

    def __init__(self, store: LayerStore, content: ContentTable) -> None:
        self._store = store
        self._content = content
        base = content.layout.temporary()
        self.tar = base.with_name(base.name + ".tar")
        self.index = base.with_name(base.name + ".erofs")

    def fill(self, fill: Callable[[LayerBuilder], object], cancellation: Cancellation = NEVER) -> Ingested:
        """Write the entries that `fill` adds. Raise NoSpace, Cancelled, and what `fill` raises."""
        with LayerBuilder(self.tar, self.index, cancellation) as builder:
            fill(builder)
            return builder.finish()

    def commit(self, ingested: Ingested, expected: Digest | None = None) -> Layer:
        """Publish the layer under the diff-id its writer computed; where it is here already, drop the new files.

        Raise Corrupt when the diff-id is not the `expected` one, NoSpace.
        """
        diff_id = ingested.diff_id
        if expected is not None and diff_id != expected:
            raise Corrupt(f"the layer has diff-id {diff_id}, not {expected}", expected=expected, found=diff_id)
        size, extra = self.tar.stat().st_size, self.index.stat().st_size
        layout = self._content.layout
        parts = [(self.index, layout.index(diff_id)), (self.tar, layout.tar(diff_id))]
        self._content.publish(diff_id, "layer", parts, size, extra, ingested.file_bytes)
        return self._store.at(diff_id, size)

    def __enter__(self) -> LayerIngest:
        return self

    def __exit__(self, *unused: object) -> None:
        self.tar.unlink(missing_ok=True)
        self.index.unlink(missing_ok=True)


def hash_file(path: Path, algorithm: str) -> Digest:
    """Return the digest of a file's bytes."""
    hasher = new_hasher(algorithm)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
    return Digest.from_hasher(hasher)
