"""Keeping our mounts to ourselves: the directory they are below is a private mount while there are any."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

from lamina.linux.mounts import MNT_DETACH, MS_BIND, MS_PRIVATE, MS_REC, MountPoint, mount, mountinfo, umount2


class MountRoot:
    """Counts who needs mounts below `root`. While somebody does, and where mounts would spread to other namespaces,
    `root` is bound to itself and made private (Documentation/filesystems/sharedsubtree.rst): what is mounted below is
    then never held by a process that merely started meanwhile in a namespace of its own. Thread-safe."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.realpath(root)
        self._lock = threading.Lock()
        self._users = 0
        self._bound = False

    def hold(self) -> None:
        """One more needs mounts below the root. Raises OSError."""
        with self._lock:
            if not self._users:
                self._bound = self._bind()
            self._users += 1

    def release(self) -> None:
        """One fewer does."""
        with self._lock:
            self._users -= 1
            if not self._users and self._bound:
                self._unbind()

    def below(self) -> list[MountPoint]:
        """What is mounted below the root (not the root itself), in the order it was mounted."""
        prefix = self._root + "/"
        return [point for point in mountinfo() if point.target.startswith(prefix)]

    def sweep(self) -> None:
        """Takes the binding away that a dead process left, if nothing needs it."""
        with self._lock:
            while not self._users and not self.below() and self._is_bound():
                self._unbind()

    def _is_bound(self) -> bool:
        return any(point.target == self._root and point.root != "/" for point in mountinfo())

    def _bind(self) -> bool:
        if self._is_bound():
            return True
        around = _around(self._root)
        if around is None or not any(tag.startswith("shared:") for tag in around.tags):
            return False
        mount(self._root, self._root, flags=MS_BIND)
        mount("none", self._root, flags=MS_PRIVATE)
        return True

    def _unbind(self) -> None:
        try:
            umount2(self._root)
        except OSError as error:
            if error.errno == errno.EBUSY:
                umount2(self._root, MNT_DETACH)
            elif error.errno != errno.EINVAL:
                raise
        self._bound = False


def _around(path: str) -> MountPoint | None:
    """The mount that `path` is in."""
    found = None
    for point in mountinfo():
        inside = path == point.target or path.startswith(point.target.rstrip("/") + "/")
        if inside and (found is None or len(point.target) >= len(found.target)):
            found = point
    return found


def unmount_all(target: str | Path) -> None:
    """Detach every mount at `target`, also one that is in use; what has it open keeps it. None there is fine.

    What is mounted below goes as well, but never from where it was bound: it leaves its peer groups first.
    """
    while True:
        try:
            mount("none", target, flags=MS_REC | MS_PRIVATE)
            umount2(target, MNT_DETACH)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT):
                return
            raise
