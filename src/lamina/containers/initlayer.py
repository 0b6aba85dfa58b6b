"""What the image lacks of the places a container mounts things on, as a layer between the image and its changes.

Rule: dockerd's init layer (moby daemon/initlayer/setup_unix.go). So mounting /etc/hosts and the like changes nothing
that `diff` and `commit` would see.
"""

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
from lamina.layers.layer import Layer
from lamina.layers.union import UnionTree
from lamina.store.leases import Lease
from lamina.store.store import Store

DIRECTORIES = ("dev", "dev/pts", "dev/shm", "proc", "sys", "etc")
FILES = (".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf")
MTAB = "etc/mtab"
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
    """What an image's tree lacks, with the directories it has on the way as they are; none where something else is
    in the way. Symlinked directories are followed inside the image."""
    added: dict[str, Entry] = {}
    for path in DIRECTORIES:
        if tree.lookup(path) is None and (place := _place(tree, added, path)):
            added[place] = Entry(place, EntryType.DIRECTORY, 0o755)
    for path in FILES:
        place = _place(tree, added, path)
        if place and tree.lookup(place) is None:
            added[place] = Entry(place, EntryType.REGULAR, 0o755)
    place = _place(tree, added, MTAB)
    if place and tree.lookup(place) is None:
        added[place] = Entry(place, EntryType.SYMLINK, 0o777, target="/proc/mounts")
    parents = {parent for path in added for parent in _parents(path) if parent not in added}
    existing = [node.entry for path in parents if (node := tree.lookup(path)) is not None]
    return sorted([*added.values(), *(replace(entry, data_offset=-1) for entry in existing)], key=lambda e: e.path)


def _place(tree: UnionTree, added: dict[str, Entry], path: str) -> str:
    """Where `path` really is: its directory's own path, and the name; "" when that is no directory."""
    head, name = posixpath.split(path)
    if not head or head in added:
        return path
    parent = tree.resolve(head)
    if parent is None or not parent.is_directory:
        return ""
    return f"{parent.entry.path}/{name}" if parent.entry.path else name


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]
