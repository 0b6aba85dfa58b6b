"""The init layer, which lies between an image and a container's own layer: real places to mount and make devices in.

Rule: moby daemon/initlayer/setup_unix.go. A directory or file that the image lacks is made in this layer. Whatever else
is in its place, a symlink above all, is replaced: the runtime programs make and mount by path, and a link would lead
them out of the container. Nothing in the layer counts as a change that `diff`, `commit` or a build would keep.
"""

from __future__ import annotations

import posixpath
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from lamina.formats.digest import Digest
from lamina.images.image import Image
from lamina.layers.entry import Entry, EntryType
from lamina.layers.index.tree import LayerTree
from lamina.layers.layer import Layer
from lamina.layers.layer_writer import LayerBuilder
from lamina.layers.union import UnionTree
from lamina.store.leases import Lease
from lamina.store.store import Store

DIRECTORIES = ("dev", "dev/pts", "dev/shm", "proc", "sys", "etc")
FILES = (".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf")
MTAB = "etc/mtab"
_REMEMBERED = 256  # images whose layer is known without a look


class InitLayers:
    """Make init layers, each once per image. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._layers: dict[Digest, Layer | None] = {}

    def of(self, image: Image, lease: Lease) -> Layer | None:
        """Return the image's init layer, in the store and held by `lease`; None when the image lacks nothing."""
        with self._lock:
            if image.id in self._layers:
                layer = self._layers[image.id]
                if layer is None or self._there(layer, lease):
                    return layer
        layer = self._make(image)
        with self._lock:
            if len(self._layers) >= _REMEMBERED:
                self._layers.clear()
            self._layers[image.id] = layer
        return layer

    def _there(self, layer: Layer, lease: Lease) -> bool:
        lease.add(layer.diff_id)
        return self._store.layers.has(layer.diff_id)

    def _make(self, image: Image) -> Layer | None:
        with ExitStack() as closing:
            trees = [LayerTree.open(layer.index, layer.tar) for layer in image.layers]
            for tree in trees:
                closing.callback(tree.close)
            entries = lacking(UnionTree(trees))

        def fill(builder: LayerBuilder) -> None:
            for entry in entries:
                builder.add(entry, b"" if entry.type is EntryType.REGULAR else None)

        return self._store.layers.write(fill)


def lacking(tree: UnionTree) -> list[Entry]:
    """Return the init layer's entries for an image's tree, with the parent directories as the image has them."""
    entries = init_entries(lambda path: _entry(tree, path))
    new = {entry.path for entry in entries}
    parents = {parent for path in new if (parent := posixpath.dirname(path)) and parent not in new}
    existing = [entry for path in parents if (entry := _entry(tree, path)) is not None]
    return sorted([*entries, *(replace(entry, data_offset=-1) for entry in existing)], key=lambda entry: entry.path)


def _entry(tree: UnionTree, path: str) -> Entry | None:
    node = tree.lookup(path)
    return node.entry if node is not None else None


def init_entries(lookup: Callable[[str], Entry | None]) -> list[Entry]:
    """Return the entries that an image's tree lacks, parents first.

    `lookup` returns the tree's entry at a path, or None; it follows no symlinks.
    """
    entries: dict[str, Entry] = {}

    def present(path: str) -> EntryType | None:
        parent = posixpath.dirname(path)
        if parent in entries and entries[parent].type is EntryType.DIRECTORY:
            return None  # below a new directory there is nothing
        entry = lookup(path)
        return entry.type if entry is not None else None

    for path in DIRECTORIES:
        if present(path) is not EntryType.DIRECTORY:
            entries[path] = Entry(path, EntryType.DIRECTORY, 0o755)
    for path in FILES:
        if present(path) not in (EntryType.REGULAR, EntryType.HARDLINK, EntryType.DIRECTORY):
            entries[path] = Entry(path, EntryType.REGULAR, 0o755)
    if present(MTAB) is None:
        entries[MTAB] = Entry(MTAB, EntryType.SYMLINK, 0o777, target="/proc/mounts")
    return [entries[path] for path in sorted(entries)]
