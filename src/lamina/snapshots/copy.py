"""The driver for any file system: every snapshot is a whole tree of its own.

Nothing is mounted but the trees of containers with users of their own: such a tree is mounted over itself, with its
owners mapped, and is read below that mount by the driver.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lamina.errors import Corrupt, NotFound
from lamina.keylocks import KeyLocks
from lamina.layers.diff import Change, tree_changes, write_tree_diff
from lamina.layers.entry import EntryType
from lamina.layers.layer import Layer
from lamina.layers.layer_writer import LayerBuilder
from lamina.layers.union import UnionTree
from lamina.layers.unpack import Style, unpack
from lamina.linux.files import usual_directory
from lamina.linux.mounts import OPEN_TREE_CLONE, open_tree
from lamina.linux.user_namespaces import UserNamespace
from lamina.snapshots.directory import DirectoryTree
from lamina.snapshots.driver import GraphDirectories, Mount
from lamina.snapshots.idmapped import mount_mapped
from lamina.snapshots.mounts import MountRoot, unmount_all
from lamina.snapshots.records import Loaded, Records, delete_tree, flush_all
from lamina.snapshots.trees import Trees

_FILES = "merged"


class CopiedSnapshot:
    """A Snapshot of CopyDriver."""

    def __init__(
        self, driver: CopyDriver, path: Path, key: str, layers: tuple[Layer, ...], writable: bool, trees: Trees
    ) -> None:
        self._driver = driver
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
        if not self._root.exists():
            raise NotFound(f"there is no snapshot called {self.key}", key=self.key)
        self._driver.mount(self.key, self._root, userns)
        return self._root

    def unmount(self) -> None:
        self._driver.unmount(self.key, self._root)

    def _open(self) -> int:
        """Return a descriptor of the files with the owners that they have on disk."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        try:
            if not self._driver.is_mapped(self.key):
                return os.open(self._root, flags)
            below = open_tree(self._root.parent, OPEN_TREE_CLONE)  # without what is mounted in it
        except FileNotFoundError as error:
            raise NotFound(f"there is no snapshot called {self.key}", key=self.key) from error
        try:
            return os.open(_FILES, flags, dir_fd=below)
        finally:
            os.close(below)

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
        self._mounts = MountRoot(root)
        self._locks: KeyLocks[str] = KeyLocks()
        self._counts: dict[str, int] = {}  # users of each mount

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
        return CopiedSnapshot(self, self._records.path(key), key, tuple(layers), writable, self._trees)

    def get(self, key: str) -> CopiedSnapshot:
        layers, writable, _, _ = self._records.load(key)
        return CopiedSnapshot(self, self._records.path(key), key, layers, writable, self._trees)

    def is_mapped(self, key: str) -> bool:
        """Return whether a snapshot is mounted with other owners."""
        return key in self._counts

    def mount(self, key: str, root: Path, userns: UserNamespace | None) -> None:
        """Mount a snapshot's files with the owners that `userns` gives them, or count one more user of that mount."""
        with self._locks.hold(key):
            if key not in self._counts:
                if userns is None:
                    return
                self._mounts.hold()
                try:
                    mount_mapped(root, userns)
                except BaseException:
                    self._mounts.release()
                    raise
            self._counts[key] = self._counts.get(key, 0) + 1

    def unmount(self, key: str, root: Path, *, entirely: bool = False) -> None:
        """Drop one user of a snapshot's mount, or all of them if `entirely`. The last one unmounts it."""
        with self._locks.hold(key):
            count = self._counts.pop(key, 0)
            if count > 1 and not entirely:
                self._counts[key] = count - 1
            elif count:
                unmount_all(root)
                self._mounts.release()

    def remove(self, key: str) -> None:
        self.unmount(key, self._records.path(key) / _FILES, entirely=True)
        self._records.delete(key)

    def keys(self) -> list[str]:
        return self._records.keys()

    def sweep(self, live_keys: Iterable[str], running: Iterable[str] | None = None) -> None:
        live = set(live_keys)
        in_use = live if running is None else live & set(running)
        mounted = {point.target for point in self._mounts.below()}
        for key in self.keys():
            root = self._records.path(key) / _FILES
            if os.path.realpath(root) in mounted and key not in self._counts:
                if key in in_use:
                    self._mounts.hold()
                    self._counts[key] = 1
                else:
                    unmount_all(root)
            if key not in live:
                self.remove(key)
        self._records.sweep()
        self._mounts.sweep()

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
