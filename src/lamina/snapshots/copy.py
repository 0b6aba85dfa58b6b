"""The driver for any file system: every snapshot is a whole tree of its own, and nothing is ever mounted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lamina.errors import Corrupt, NotFound, Unsupported
from lamina.layers.diff import Change, tree_changes, write_tree_diff
from lamina.layers.entry import EntryType
from lamina.layers.layer import Layer
from lamina.layers.layer_writer import LayerBuilder
from lamina.layers.union import UnionTree
from lamina.layers.unpack import Style, unpack
from lamina.linux.files import usual_directory
from lamina.linux.user_namespaces import UserNamespace
from lamina.snapshots.directory import DirectoryTree
from lamina.snapshots.driver import GraphDirectories, Mount
from lamina.snapshots.records import Loaded, Records, delete_tree, flush_all
from lamina.snapshots.trees import Trees

_FILES = "merged"


class CopiedSnapshot:
    """A Snapshot of CopyDriver."""

    def __init__(self, path: Path, key: str, layers: tuple[Layer, ...], writable: bool, trees: Trees) -> None:
        self._trees = trees
        self._root = path / _FILES
        self.key = key
        self.layers = layers
        self.writable = writable

    @property
    def directories(self) -> GraphDirectories:
        return GraphDirectories((), self._root if self.writable else None, None, self._root)

    def mounts(self) -> tuple[Mount, ...]:
        return ()

    def mount(self, userns: UserNamespace | None = None) -> Path:
        if userns is not None:
            raise Unsupported("the storage driver copy cannot map users", advice="Use erofs or overlay")
        if not self._root.exists():
            raise NotFound(f"there is no snapshot called {self.key}", key=self.key)
        return self._root

    def unmount(self) -> None:
        pass  # nothing is mounted

    def _open(self) -> int:
        return os.open(self.mount(), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def changes(self) -> Iterator[Change]:
        root = self._open()
        try:
            yield from tree_changes(root, self._trees.union(self.layers))
        finally:
            os.close(root)

    def write_diff(self, builder: LayerBuilder, *, latest_ns: int | None = None) -> None:
        root = self._open()
        try:
            write_tree_diff(root, self._trees.union(self.layers), builder, latest_ns=latest_ns)
        finally:
            os.close(root)

    def tree(self) -> UnionTree:
        return UnionTree([DirectoryTree(self._root)])

    def usage(self) -> int:
        tree = DirectoryTree(self._root)
        sizes: dict[int, int] = {}
        for change in self.changes():
            node = tree.lookup(change.path) if change.kind != "D" else None
            if node is not None and node.entry.type in (EntryType.REGULAR, EntryType.SYMLINK):
                sizes[node.ino] = node.entry.size or len(os.fsencode(node.entry.target))
        return sum(sizes.values())


class CopyDriver:
    """A Driver that needs nothing but directories."""

    name = "copy"

    def __init__(self, root: Path, reason: str) -> None:
        self.reason = reason
        self._records = Records(root / "snapshots")
        self._trees = Trees()

    def prepare(
        self, key: str, layers: Sequence[Layer], *, writable: bool = True, durable: bool = True
    ) -> CopiedSnapshot:
        # A plain directory waits for the disk whenever it is told to, so `durable` changes nothing here.
        draft = self._records.begin(key)
        try:
            usual_directory(draft / _FILES)
            root = os.open(draft / _FILES, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                for layer in layers:
                    _apply(layer, root)
            finally:
                os.close(root)
            self._records.publish(key, draft, Loaded(tuple(layers), writable, durable, 0))
        except BaseException:
            delete_tree(draft)
            raise
        return CopiedSnapshot(self._records.path(key), key, tuple(layers), writable, self._trees)

    def get(self, key: str) -> CopiedSnapshot:
        layers, writable, _, _ = self._records.load(key)
        return CopiedSnapshot(self._records.path(key), key, layers, writable, self._trees)

    def remove(self, key: str) -> None:
        self._records.delete(key)

    def keys(self) -> list[str]:
        return self._records.keys()

    def sweep(self, live_keys: Iterable[str], running: Iterable[str] | None = None) -> None:
        for key in set(self.keys()) - set(live_keys):
            self._records.delete(key)
        self._records.sweep()

    def sync(self) -> None:
        self._records.sync(flush_all)

    def collect(self) -> int:
        return 0

    def close(self) -> None:
        pass  # nothing is held


def _apply(layer: Layer, root: int) -> None:
    try:
        unpack(layer.tar, root, Style.APPLY)
    except FileNotFoundError as error:
        raise Corrupt(f"the files of layer {layer.diff_id} are missing", digest=layer.diff_id) from error
