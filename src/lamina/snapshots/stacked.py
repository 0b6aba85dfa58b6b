"""The driver that stacks layers with overlayfs, wherever those come from."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from lamina.errors import NotFound
from lamina.keylocks import KeyLocks
from lamina.layers.diff import Change, upper_changes, write_upper_diff
from lamina.layers.index.tree import LayerTree
from lamina.layers.layer import Layer
from lamina.layers.layer_writer import LayerBuilder
from lamina.layers.tree import Tree
from lamina.layers.union import UnionTree
from lamina.linux.files import usual_directory
from lamina.linux.user_namespaces import UserNamespace
from lamina.snapshots.directory import DirectoryTree
from lamina.snapshots.driver import GraphDirectories, Mount
from lamina.snapshots.idmapped import mount_idmapped
from lamina.snapshots.lowers import Group, Lowers, arrange
from lamina.snapshots.mounts import MountRoot, Overlay, mount_overlay, unmount_all
from lamina.snapshots.records import Loaded, Records, delete_tree, flush_record
from lamina.snapshots.trees import Trees, borrowed_directories, make_directories, set_root
from lamina.snapshots.unmounting import Unmounting
from lamina.snapshots.unpacked import tree_bytes

_UPPER, _WORK, _MERGED, _BORROWED = "diff", "work", "merged", "borrowed"


class StackedSnapshot:
    """A Snapshot of StackedDriver."""

    def __init__(self, driver: StackedDriver, key: str, record: Loaded) -> None:
        self._driver = driver
        self.key = key
        self.layers = record.layers
        self.writable = record.writable
        self.durable = record.durable
        self._hidden = record.hidden

    @cached_property
    def _path(self) -> Path:
        return self._driver.records.path(self.key)

    @cached_property
    def stack(self) -> tuple[Group, ...]:
        """Return what is stacked, the bottom one first."""
        return arrange(self.layers[self._hidden :])

    @property
    def directories(self) -> GraphDirectories:
        lower = tuple(self._driver.lowers.path(group) for group in reversed(self.stack))
        if not self.writable:
            return GraphDirectories(lower, None, None, self._path / _MERGED)
        return GraphDirectories(lower, self._path / _UPPER, self._path / _WORK, self._path / _MERGED)

    def overlay(self, lower: Sequence[Path] | None = None) -> Overlay:
        """Return what `mount` stacks, over the directories `lower`, the bottom one first."""
        own = tuple(reversed(self.directories.lower)) if lower is None else tuple(lower)
        borrowed = self._path / _BORROWED
        stack = (self._driver.empty, *own) if len(own) < 2 else own
        if borrowed.exists():
            stack = (*stack, borrowed)
        directories = self.directories
        separate, volatile = self._driver.lowers.separate, self.writable and not self.durable
        return Overlay(stack[::-1], directories.upper, directories.work, xino=separate, volatile=volatile)

    def mounts(self) -> tuple[Mount, ...]:
        return (Mount("overlay", "overlay", self.overlay().as_data()),)

    def mount(self, userns: UserNamespace | None = None) -> Path:
        return self._driver.mount(self, userns)

    def unmount(self) -> None:
        self._driver.unmount(self.key)

    def changes(self) -> Iterator[Change]:
        if not self.writable:
            return
        upper = self._open_upper()
        try:
            yield from upper_changes(upper, self._driver.trees.union(self.layers))
        finally:
            os.close(upper)

    def write_diff(self, builder: LayerBuilder, *, latest_ns: int | None = None) -> None:
        if not self.writable:
            return
        upper = self._open_upper()
        try:
            write_upper_diff(upper, builder, self._driver.trees.union(self.layers), latest_ns=latest_ns)
        finally:
            os.close(upper)

    def _open_upper(self) -> int:
        try:
            return os.open(self._path / _UPPER, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise NotFound(f"there is no snapshot called {self.key}", key=self.key) from error

    def tree(self) -> UnionTree:
        trees: list[Tree] = [*self._driver.trees.of(self.layers)]
        if self.writable:
            trees.append(DirectoryTree(self._path / _UPPER, overlay=True))
        return UnionTree(trees)

    def usage(self) -> int:
        return tree_bytes(self._driver.records.inside(self.key, _UPPER)) if self.writable else 0


class StackedDriver:
    """A Driver over `lowers`."""

    def __init__(self, root: Path, lowers: Lowers, mounts: MountRoot, trees: Trees, reason: str) -> None:
        self.name = lowers.name
        self.reason = reason
        self.lowers = lowers
        self.records = Records(root / "snapshots")
        self.empty = root / "empty"
        usual_directory(self.empty)
        self.trees = trees
        self._mounts = mounts
        self._locks: KeyLocks[str] = KeyLocks()
        self._counts: dict[str, int] = {}
        self._unmounting = Unmounting()

    def prepare(
        self, key: str, layers: Sequence[Layer], *, writable: bool = True, durable: bool = True
    ) -> StackedSnapshot:
        self.records.path(key)
        trees = self.trees.of(layers)
        record = Loaded(tuple(layers), writable, durable, _hidden(trees))
        self.lowers.ensure(arrange(layers[record.hidden :]))
        draft = self.records.begin(key)
        try:
            (draft / _MERGED).mkdir(mode=0o755)
            self._make_attributes(draft, trees, writable)
            self.records.publish(key, draft, record)
        except BaseException:
            delete_tree(draft)
            raise
        return StackedSnapshot(self, key, record)

    def _make_attributes(self, draft: Path, trees: Sequence[LayerTree], writable: bool) -> None:
        union = UnionTree(trees)
        borrowed = borrowed_directories(trees, union)
        if borrowed or (not writable and union.borrows("")):
            (draft / _BORROWED).mkdir(mode=0o755)
            make_directories(draft / _BORROWED, borrowed, union)
            set_root(draft / _BORROWED, union)
        if writable:
            (draft / _WORK).mkdir(mode=0o700)
            (draft / _UPPER).mkdir(mode=0o755)
            set_root(draft / _UPPER, union)

    def get(self, key: str) -> StackedSnapshot:
        return StackedSnapshot(self, key, self.records.load(key))

    def keys(self) -> list[str]:
        return self.records.keys()

    def mount(self, snapshot: StackedSnapshot, userns: UserNamespace | None) -> Path:
        """Mount a snapshot, or count one more user of its mount. Return its root."""
        key, target = snapshot.key, snapshot.directories.merged
        with self._locks.hold(key):
            if not self._counts.get(key):
                if not target.exists():
                    raise NotFound(f"there is no snapshot called {key}", key=key)
                self._mount(snapshot, target, userns)
            self._counts[key] = self._counts.get(key, 0) + 1
        return target

    def _mount(self, snapshot: StackedSnapshot, target: Path, userns: UserNamespace | None) -> None:
        self._unmounting.wait(snapshot.key)
        self._mounts.hold()
        try:
            lower = self.lowers.acquire(snapshot.key, snapshot.stack)
            try:
                if userns is None:
                    mount_overlay(snapshot.overlay(lower), target)
                else:
                    mount_idmapped(snapshot.overlay(lower), target, userns)
            except BaseException:
                self.lowers.release(snapshot.key)
                raise
        except BaseException:
            self._mounts.release()
            raise

    def unmount(self, key: str, *, entirely: bool = False) -> None:
        """Drop one user of a snapshot's mount, or all of them if `entirely`. The last one unmounts it.

        The kernel writes the files to the disk behind it, in another thread.
        """
        with self._locks.hold(key):
            count = self._counts.get(key, 0)
            if not count:
                return
            if count > 1 and not entirely:
                self._counts[key] = count - 1
                return
            self._unmounting.detach(key, self.records.path(key) / _MERGED)
            del self._counts[key]
            self.lowers.release(key)
            self._mounts.release()

    def remove(self, key: str) -> None:
        with self._locks.hold(key):
            self.unmount(key, entirely=True)
            self.records.delete(key)

    def sweep(self, live_keys: Iterable[str], running: Iterable[str] | None = None) -> None:
        live = set(live_keys)
        in_use = live if running is None else live & set(running)
        mounted = {point.target for point in self._mounts.below()}
        for key in self.keys():
            target = self.records.path(key) / _MERGED
            if os.path.realpath(target) in mounted:
                if key in in_use and key not in self._counts:
                    self._mounts.hold()
                    self._counts[key] = 1
                elif key not in self._counts:
                    unmount_all(target)
            if key not in live:
                self.remove(key)
        self.records.sweep()
        self.lowers.sweep([(key, self.get(key).stack) for key in self._counts])
        self._mounts.sweep()

    def sync(self) -> None:
        self._unmounting.wait_for_all()
        self.records.sync(flush_record)

    def collect(self) -> int:
        return self.lowers.collect(self._used)

    def _used(self) -> set[str]:
        """Return the names of all groups that snapshots stand on."""
        used: set[str] = set()
        for key in self.keys():
            with contextlib.suppress(NotFound):  # removed meanwhile
                used.update(group.name for group in self.get(key).stack)
        return used

    def close(self) -> None:
        self._unmounting.close()
        self.lowers.close()


def _hidden(trees: Sequence[LayerTree]) -> int:
    """Return how many of the lowest layers are hidden by the opaque root of a layer above, which overlayfs ignores."""
    for number in range(len(trees) - 1, 0, -1):
        root = trees[number].lookup("")
        if root is not None and root.opaque:
            return number
    return 0
