"""Layers mounted in place: an index and its tar make a read-only file system, shared by all who stack it."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from lamina.errors import Corrupt
from lamina.keylocks import KeyLocks
from lamina.layers.entry import EntryType
from lamina.layers.index.chunks import FileMap
from lamina.layers.index.format import BLOCK_BITS
from lamina.layers.index.tree import LayerTree
from lamina.layers.index.writer import IndexWriter
from lamina.layers.layer import Layer
from lamina.layers.tree import Node, walk
from lamina.layers.union import UnionTree
from lamina.linux.mounts import MOUNT_ATTR_NODEV, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY, mount_filesystem
from lamina.snapshots.lowers import Group
from lamina.snapshots.mounts import MountRoot, ShortNames, unmount_all
from lamina.snapshots.records import NEW, sweep_directory
from lamina.snapshots.trees import Trees

_PATHS_KEPT = 10_000
_ATTRIBUTES = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID
_DAMAGED = (errno.EINVAL, errno.EUCLEAN, errno.EBADMSG, errno.EIO, errno.ENOENT, errno.EOPNOTSUPP)


class MountedLayers:
    """Lowers by EROFS mounts below `root`, made when first acquired. `merged` holds indexes of several layers.

    A mount that nobody holds any more stays for `linger` seconds: the next build step or container often needs it,
    and unmounting costs more than mounting.
    """

    name = "erofs"
    separate = True

    def __init__(self, root: Path, merged: Path, mounts: MountRoot, trees: Trees, linger: float = 2.0) -> None:
        self._root = root
        self._merged = merged
        for directory in (root, merged):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._trees = trees
        self._locks: KeyLocks[str] = KeyLocks()
        self._mounts = mounts
        self._linger = linger
        self._lock = threading.Lock()
        self._paths: dict[str, Path] = {}
        self._users: dict[Path, set[str]] = {}
        self._idle: dict[Path, float] = {}
        self._tars: dict[Path, Path] = {}  # of what is mounted, the tar of the topmost layer
        self._timer: threading.Timer | None = None

    def path(self, group: Group) -> Path:
        # Remembered, because a deep stack asks for the same paths at each step of a build.
        name = group.name
        path = self._paths.get(name)
        if path is None:
            if len(self._paths) >= _PATHS_KEPT:
                self._paths = {}
            path = self._paths[name] = self._root / name
        return path

    def ensure(self, groups: Sequence[Group]) -> None:
        absent = [group for group in groups if self.path(group) not in self._users]  # a mount holds its files
        for layer in (layer for group in absent for layer in group.layers):
            if not (layer.index.exists() and layer.tar.exists()):
                raise Corrupt(f"the files of layer {layer.diff_id} are missing", digest=layer.diff_id)
        for group in groups:
            if len(group.layers) > 1:
                self._merge(group)

    def _merge(self, group: Group) -> Path:
        index = self._merged / group.name
        with self._locks.hold(group.name):
            if not index.exists():
                draft = index.with_name(NEW + group.name)
                merge_layers(group.layers, self._trees.of(group.layers), draft)
                with draft.open("rb") as file:
                    os.fsync(file.fileno())
                draft.rename(index)
        return index

    def acquire(self, user: str, groups: Sequence[Group]) -> tuple[Path, ...]:
        try:
            return tuple(self._hold(user, group) for group in groups)
        except BaseException:
            self.release(user)
            raise

    def _hold(self, user: str, group: Group) -> Path:
        path = self.path(group)
        with self._lock:
            users = self._users.get(path)
            if users is None:
                self._mount(group, path)
                self._tars[path] = group.layers[-1].tar
                users = self._users[path] = set()
            self._idle.pop(path, None)
            users.add(user)
        return path

    def _mount(self, group: Group, path: Path) -> None:
        layer = group.layers[-1]
        self._mounts.hold()
        try:
            path.mkdir(mode=0o700, exist_ok=True)
            if len(group.layers) == 1:
                mount_index(layer.index, [layer.tar], path)
            else:
                mount_index(self._merge(group), merged_devices(group.layers), path)
        except OSError as error:
            self._mounts.release()
            if error.errno in _DAMAGED:
                raise Corrupt(
                    f"layer {layer.diff_id} cannot be mounted: {error.strerror}", digest=layer.diff_id
                ) from error
            raise

    def release(self, user: str) -> None:
        with self._lock:
            for path, users in self._users.items():
                if user in users:
                    users.discard(user)
                    if not users:
                        self._idle[path] = time.monotonic() + self._linger
            self._drop(time.monotonic())

    def _drop(self, now: float) -> None:
        """Unmount what has been idle long enough by `now`, and set a timer for the rest. The lock is held."""
        for path in [path for path, until in self._idle.items() if until <= now]:
            self._take_down(path)
        if self._idle and self._timer is None:
            self._timer = threading.Timer(max(min(self._idle.values()) - now, 0.05), self._on_time)
            self._timer.daemon = True
            self._timer.start()

    def _take_down(self, path: Path) -> None:
        del self._idle[path], self._users[path], self._tars[path]
        self._unmount(path)
        self._mounts.release()

    def _on_time(self) -> None:
        with self._lock:
            self._timer = None
            self._drop(time.monotonic())

    def _unmount(self, path: Path) -> None:
        unmount_all(path)
        path.rmdir()

    def sweep(self, users: Iterable[tuple[str, Sequence[Group]]]) -> None:
        sweep_directory(self._merged)
        mounted = {point.target for point in self._mounts.below()}
        with self._lock:
            for user, groups in users:
                for group in groups:
                    path = self.path(group)
                    if os.path.realpath(path) in mounted:
                        if path not in self._users:
                            self._mounts.hold()
                        self._users.setdefault(path, set()).add(user)
                        self._tars[path] = group.layers[-1].tar
            for entry in list(self._root.iterdir()):
                if entry not in self._users:
                    self._unmount(entry)

    def collect(self, used: Callable[[], set[str]]) -> int:
        # Kept are merged indexes, and for a while mounts that nobody uses, which hold their files.
        with self._lock:
            for path in [path for path in self._idle if not self._tars[path].exists()]:
                self._take_down(path)
        indexes = [index for index in self._merged.iterdir() if not index.name.startswith(NEW)]
        names = used() if indexes else set()
        freed = 0
        for index in indexes:
            with self._locks.hold(index.name), contextlib.suppress(FileNotFoundError):
                if index.name not in names:
                    size = index.stat().st_size
                    index.unlink()
                    freed += size
        return freed

    def close(self) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._drop(float("inf"))


def mount_index(index: Path, tars: Sequence[Path], target: Path) -> None:
    """Mount an index over its tars at `target`, read-only. Raise OSError with the kernel's reason."""
    with ShortNames() as names:
        options = [("source", names.short(index)), *(("device", names.short(tar)) for tar in tars)]
        mount_filesystem("erofs", options, target, _ATTRIBUTES)


def merge_layers(layers: Sequence[Layer], trees: Sequence[LayerTree], index: Path) -> None:
    """Write to `index` what `layers` (the bottom one first; `trees` are theirs) amount to. Whiteouts are gone.

    The index is to be mounted over `merged_devices(layers)`. It is neither synced nor renamed. Raise what IndexWriter
    does.
    """
    writer = IndexWriter()
    union = UnionTree(trees)
    first: dict[int, str] = {}
    for node in walk(union):
        entry = node.entry
        if entry.type is not EntryType.DIRECTORY and node.ino in first:
            writer.add(dataclasses.replace(entry, type=EntryType.HARDLINK, target=first[node.ino], size=0))
            continue
        first[node.ino] = entry.path
        if entry.type is EntryType.REGULAR and entry.size:
            writer.add(entry, file=_mapped(node, union, trees, len(layers)))
        else:
            writer.add(entry)
    writer.write(index, [path.stat().st_size for path in merged_devices(layers)])


def merged_devices(layers: Sequence[Layer]) -> list[Path]:
    """Return the files a merged index points into: all tars, and all indexes, for what is in none of the tars."""
    return [*(layer.tar for layer in layers), *(layer.index for layer in layers)]


def _mapped(node: Node, union: UnionTree, trees: Sequence[LayerTree], count: int) -> FileMap:
    """Return where the contents of a file are, by the numbers of its tar and its index in the merged image."""
    bits, extents = trees[node.source].chunks(union.in_layer(node))
    blocks = [extent.offset >> BLOCK_BITS if extent.offset >= 0 else -1 for extent in extents]
    devices = [node.source + 1 + (0 if extent.device else count) for extent in extents]
    return FileMap(bits, blocks, devices=devices)
