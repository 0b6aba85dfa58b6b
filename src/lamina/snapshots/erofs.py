"""Layers mounted in place: an index and its tar make a read-only file system, shared by all who stack it."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from lamina.errors import Corrupt
from lamina.formats.digest import Digest
from lamina.layers.layer import Layer
from lamina.linux.mounts import MOUNT_ATTR_NODEV, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY, mount_filesystem
from lamina.snapshots.mountroot import MountRoot, unmount_all
from lamina.snapshots.overlaymount import ShortNames

_ATTRIBUTES = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID
_DAMAGED = (errno.EINVAL, errno.EUCLEAN, errno.EBADMSG, errno.EIO, errno.ENOENT, errno.EOPNOTSUPP)


class MountedLayers:
    """Lowers by EROFS mounts below `root`, made when first acquired.

    One that nobody holds any more stays for `linger` seconds, as the next build step or container often wants it, and
    unmounting costs more than mounting.
    """

    name = "erofs"
    separate = True

    def __init__(self, root: Path, mounts: MountRoot, linger: float = 2.0) -> None:
        self._root = root
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._mounts = mounts
        self._linger = linger
        self._lock = threading.Lock()
        self._users: dict[Path, set[str]] = {}
        self._idle: dict[Path, float] = {}
        self._timer: threading.Timer | None = None

    def path(self, layer: Layer) -> Path:
        """See Lowers."""
        return self._root / layer.diff_id.encoded

    def ensure(self, layers: Sequence[Layer]) -> None:
        """See Lowers: only looks whether the files are there."""
        for layer in layers:
            if not (layer.index.exists() and layer.tar.exists()):
                raise Corrupt(f"the files of layer {layer.diff_id} are missing", digest=layer.diff_id)

    def acquire(self, user: str, layers: Sequence[Layer]) -> tuple[Path, ...]:
        """See Lowers."""
        try:
            return tuple(self._hold(user, layer) for layer in layers)
        except BaseException:
            self.release(user)
            raise

    def _hold(self, user: str, layer: Layer) -> Path:
        path = self.path(layer)
        with self._lock:
            users = self._users.get(path)
            if users is None:
                self._mount(layer, path)
                users = self._users[path] = set()
            self._idle.pop(path, None)
            users.add(user)
        return path

    def _mount(self, layer: Layer, path: Path) -> None:
        self._mounts.hold()
        try:
            path.mkdir(mode=0o700, exist_ok=True)
            mount_index(layer.index, [layer.tar], path)
        except OSError as error:
            self._mounts.release()
            if error.errno in _DAMAGED:
                raise Corrupt(
                    f"layer {layer.diff_id} cannot be mounted: {error.strerror}", digest=layer.diff_id
                ) from error
            raise

    def release(self, user: str) -> None:
        """See Lowers."""
        with self._lock:
            for path, users in self._users.items():
                if user in users:
                    users.discard(user)
                    if not users:
                        self._idle[path] = time.monotonic() + self._linger
            self._drop(time.monotonic())

    def _drop(self, now: float) -> None:
        """Unmounts what has been idle until `now`, and comes back for the rest. Called with the lock held."""
        for path in [path for path, until in self._idle.items() if until <= now]:
            del self._idle[path], self._users[path]
            self._unmount(path)
            self._mounts.release()
        if self._idle and self._timer is None:
            self._timer = threading.Timer(max(min(self._idle.values()) - now, 0.05), self._on_time)
            self._timer.daemon = True
            self._timer.start()

    def _on_time(self) -> None:
        with self._lock:
            self._timer = None
            self._drop(time.monotonic())

    def _unmount(self, path: Path) -> None:
        unmount_all(path)
        path.rmdir()

    def sweep(self, users: Iterable[tuple[str, Sequence[Layer]]]) -> None:
        """See Lowers."""
        mounted = {point.target for point in self._mounts.below()}
        with self._lock:
            for user, layers in users:
                for path in map(self.path, layers):
                    if os.path.realpath(path) in mounted:
                        if path not in self._users:
                            self._mounts.hold()
                        self._users.setdefault(path, set()).add(user)
            for entry in list(self._root.iterdir()):
                if entry not in self._users:
                    self._unmount(entry)

    def collect(self, used: set[Digest]) -> int:
        """See Lowers: a mount keeps no bytes of its own."""
        return 0

    def close(self) -> None:
        """See Lowers."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._drop(float("inf"))


def mount_index(index: Path, tars: Sequence[Path], target: Path) -> None:
    """Mounts an index over its tars at `target`, read-only. Raises OSError with the kernel's reason."""
    with ShortNames() as names:
        options = [("source", names.short(index)), *(("device", names.short(tar)) for tar in tars)]
        mount_filesystem("erofs", options, target, _ATTRIBUTES)
