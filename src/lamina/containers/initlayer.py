"""The init layers of images (see `layers.initlayer`), each made once and kept in the store."""

from __future__ import annotations

import posixpath
import threading
from contextlib import ExitStack
from dataclasses import replace

from lamina.formats.digest import Digest
from lamina.images.image import Image
from lamina.layers.builder import LayerBuilder
from lamina.layers.entry import Entry, EntryType
from lamina.layers.index.tree import LayerTree
from lamina.layers.initlayer import init_entries
from lamina.layers.layer import Layer
from lamina.layers.union import UnionTree
from lamina.store.leases import Lease
from lamina.store.store import Store

KEPT = 256  # images whose layer is remembered


class InitLayers:
    """Makes init layers, each once per image. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._known: dict[Digest, Layer | None] = {}

    def of(self, image: Image, lease: Lease) -> Layer | None:
        """The image's init layer, in the store and held by `lease`; None when it lacks nothing."""
        with self._lock:
            if image.id in self._known:
                known = self._known[image.id]
                if known is None or self._there(known, lease):
                    return known
        made = self._make(image)
        with self._lock:
            if len(self._known) >= KEPT:
                self._known.clear()
            self._known[image.id] = made
        return made

    def _there(self, layer: Layer, lease: Lease) -> bool:
        lease.add(layer.diff_id)
        return self._store.layers.has(layer.diff_id)

    def _make(self, image: Image) -> Layer | None:
        with ExitStack() as closing:
            trees = [LayerTree.open(layer.index, layer.tar) for layer in image.layers]
            for tree in trees:
                closing.callback(tree.close)
            entries = lacking(UnionTree(trees))
        if not entries:
            return None
        with self._store.layers.create() as work:
            with LayerBuilder(work.tar, work.index) as builder:
                for entry in entries:
                    builder.add(entry, b"" if entry.type is EntryType.REGULAR else None)
                ingested = builder.finish()
            return work.commit(ingested)


def lacking(tree: UnionTree) -> list[Entry]:
    """Return the init layer's entries for an image's tree, with the directories that it has on the way as they are."""
    entries = init_entries(lambda path: _entry(tree, path))
    new = {entry.path for entry in entries}
    parents = {parent for path in new if (parent := posixpath.dirname(path)) and parent not in new}
    existing = [entry for path in parents if (entry := _entry(tree, path)) is not None]
    return sorted([*entries, *(replace(entry, data_offset=-1) for entry in existing)], key=lambda entry: entry.path)


def _entry(tree: UnionTree, path: str) -> Entry | None:
    node = tree.lookup(path)
    return node.entry if node is not None else None
