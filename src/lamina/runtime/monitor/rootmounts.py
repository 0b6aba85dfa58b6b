"""Mounts and device nodes in a container's root, made by descriptors before the runtime program starts.

This is done in the mount namespace of the runtime program alone, by the process that becomes it or the thread that
starts it. The kernel resolves each path inside the root (openat2 RESOLVE_IN_ROOT), through what was mounted before, and
the mount is attached to what was opened: a name that changes meanwhile changes nothing. The runtime binds the whole
tree, with what is mounted in it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from lamina.errors import InvalidInput
from lamina.linux.mounts import (
    AT_EMPTY_PATH,
    AT_RECURSIVE,
    MOUNT_ATTR_IDMAP,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_SLAVE,
    OPEN_TREE_CLONE,
    mount,
    mount_of,
    mount_setattr,
    move_mount_onto,
    open_tree,
)
from lamina.linux.paths import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from lamina.linux.processes import making_files_of
from lamina.runtime.mount_places import directories_below, open_place

_PLACES = ("dev", "proc", "sys")  # where the runtime program mounts by path
_NODES = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}
_SET = {"ro": MS_RDONLY, "nosuid": MS_NOSUID, "nodev": MS_NODEV, "noexec": MS_NOEXEC}
_ATTRIBUTES = {"nosuid": MOUNT_ATTR_NOSUID, "nodev": MOUNT_ATTR_NODEV, "noexec": MOUNT_ATTR_NOEXEC}
_CLEAR = {"rw": MS_RDONLY, "suid": MS_NOSUID, "dev": MS_NODEV, "exec": MS_NOEXEC, "defaults": 0}


ROOT_PLACE = "/run/lamina-root"
"""Where the runtime program finds the root of a container with users of its own. They may pass no folder that is closed
to the host's users, as the data root is. What is mounted there shows in the mount namespace of one start alone."""


class RootMounts:
    """What `placement.Placement.document` lists. Made in the host's mount namespace: sources are opened there."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._path: str = document["root"]
        self._root = -1  # opened in the namespace that it is mounted on
        self._mounts: Sequence[Mapping[str, Any]] = document["mounts"]
        self._nodes: Sequence[Mapping[str, Any]] = document["nodes"]
        self._owner = tuple(document["owner"]) if document.get("owner") else None
        self._sources: list[int] = []
        userns = os.open(document["userns"], os.O_RDONLY | os.O_CLOEXEC) if document.get("userns") else -1
        try:
            for entry in self._mounts:
                self._sources.append(_opened(entry, userns))
        except BaseException:
            self.close()
            raise
        finally:
            if userns >= 0:
                os.close(userns)

    def __enter__(self) -> RootMounts:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what is open. Mounts stay where they are attached."""
        for descriptor in (*self._sources, self._root):
            if descriptor >= 0:
                os.close(descriptor)
        self._sources, self._root = [], -1

    def attach(self) -> None:
        """Mount and make everything in the mount namespace that this thread is in by now.

        Raise InvalidInput, naming the path, for what is not possible, and where the runtime program would be led
        astray.
        """
        self._root = os.open(self._path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        mount(
            "none", mount_of(self._root, "thread-self").target, flags=MS_PRIVATE
        )  # so that nothing of it shows on the host
        if self._owner:
            self._open_to_all()
        with making_files_of(self._owner):
            for entry, source in zip(self._mounts, self._sources, strict=True):
                self._mount(entry, source)
            for entry in self._nodes:
                self._make_node(entry)
            for name in _PLACES:
                self._check_place(name)

    def _open_to_all(self) -> None:
        """Mount the root where every user of this mount namespace can reach it, and use it there."""
        with suppress(FileExistsError):
            os.mkdir(ROOT_PLACE)
            os.chmod(ROOT_PLACE, 0o711)  # whatever the umask
        place = os.open(ROOT_PLACE, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        tree = open_tree(self._path, OPEN_TREE_CLONE | AT_RECURSIVE)
        mount("none", mount_of(place, "thread-self").target, flags=MS_SLAVE)  # the sources of binds go on to propagate
        move_mount_onto(tree, place)
        for descriptor in (tree, place, self._root):
            os.close(descriptor)
        self._root = -1
        self._root = os.open(ROOT_PLACE, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def _mount(self, entry: Mapping[str, Any], source: int) -> None:
        path = entry["destination"]
        try:
            is_new = not self._exists(path)
            place = self._place(path, source < 0 or stat.S_ISDIR(os.fstat(source).st_mode))
            try:
                if source < 0:
                    _mount_tmpfs(place, is_new, entry["options"])
                else:
                    move_mount_onto(source, place)
            finally:
                os.close(place)
        except OSError as error:
            what = entry.get("source", "a tmpfs")
            raise InvalidInput(f"cannot mount {what} at {path}: {error.strerror}", path=path) from None

    def _exists(self, path: str) -> bool:
        try:
            os.close(openat2(self._root, path, os.O_PATH))
        except FileNotFoundError:
            return False
        return True

    def _place(self, path: str, is_directory: bool) -> int:
        """Return a descriptor (O_PATH) of what is to be mounted on, made where it is missing."""
        place = open_place(self._root, path, is_directory)
        self._refuse_kernel_places(place, path)
        return place

    def _refuse_kernel_places(self, place: int, path: str) -> None:
        """Refuse what the runtime program would hide by mounting there later, and the root itself."""
        root = os.readlink(f"/proc/self/fd/{self._root}")
        inside = os.path.relpath(os.readlink(f"/proc/self/fd/{place}"), root)
        if inside.split("/")[0] in (".", "..", *_PLACES):
            os.close(place)
            raise InvalidInput(f"cannot mount at {path}: a symlink leads to /{inside.lstrip('.')}", path=path)

    def _make_node(self, entry: Mapping[str, Any]) -> None:
        path = entry["path"]
        parent, name = os.path.split(path)
        try:
            with directories_below(self._root) as directories:
                _make_node(directories.open(parent.strip("/")), name, entry)
        except OSError as error:
            raise InvalidInput(f"cannot make the device {path}: {error.strerror}", path=path) from None

    def _check_place(self, name: str) -> None:
        """Make sure that a place of the runtime program's own mounts is a real directory."""
        flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW
        try:
            with suppress(FileExistsError):
                os.mkdir(name, 0o755, dir_fd=self._root)
            os.close(openat2(self._root, name, flags, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS))
        except OSError:
            raise InvalidInput(
                f"/{name} of the container is not a directory, and nothing can be mounted there",
                advice="Make it one, or make a new container of the image",
                path=f"/{name}",
            ) from None


def _opened(entry: Mapping[str, Any], userns: int) -> int:
    """Return a descriptor of a bind's mount, attached nowhere; -1 for a tmpfs. Owners are mapped as in `userns`."""
    if "source" not in entry:
        return -1
    recursive = AT_RECURSIVE if entry["recursive"] else 0
    try:
        tree = open_tree(entry["source"], OPEN_TREE_CLONE | recursive)
        attributes = MOUNT_ATTR_RDONLY if entry["read_only"] else 0
        for option in entry["options"]:
            attributes |= _ATTRIBUTES.get(option, 0)
        below = AT_RECURSIVE if entry["read_only_below"] else 0
        mount_setattr("", dirfd=tree, flags=AT_EMPTY_PATH | below, attributes=attributes)
        mount_setattr("", dirfd=tree, flags=AT_EMPTY_PATH | recursive, propagation=MS_PRIVATE)
        if entry.get("idmapped") and userns >= 0:
            mount_setattr("", dirfd=tree, flags=AT_EMPTY_PATH, attributes=MOUNT_ATTR_IDMAP, userns=userns)
    except OSError as error:
        where = f"{entry['source']} at {entry['destination']}"
        raise InvalidInput(f"cannot mount {where}: {error.strerror}", path=entry["destination"]) from None
    return tree


def _mount_tmpfs(place: int, is_new: bool, options: Sequence[str]) -> None:
    """Mount a tmpfs. A directory that was there gives it its mode unless another is asked for, as with runc."""
    flags = 0
    words = [] if is_new else [f"mode={stat.S_IMODE(os.fstat(place).st_mode):o}"]
    for option in options:
        if option in _SET:
            flags |= _SET[option]
        elif option in _CLEAR:
            flags &= ~_CLEAR[option]
        else:
            words.append(option)
    mount("tmpfs", f"/proc/self/fd/{place}", "tmpfs", flags, ",".join(words))


def _make_node(directory: int, name: str, entry: Mapping[str, Any]) -> None:
    mode = _NODES[entry["type"]] | entry["mode"]
    with suppress(FileExistsError):
        os.mknod(name, mode, entry["rdev"], dir_fd=directory)
    node = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        status = os.fstat(node)
        if (stat.S_IFMT(status.st_mode), status.st_rdev) != (stat.S_IFMT(mode), entry["rdev"]):
            raise FileExistsError(errno.EEXIST, "another file is in its place")
        os.chown(f"/proc/self/fd/{node}", entry["uid"], entry["gid"])
        os.chmod(f"/proc/self/fd/{node}", stat.S_IMODE(mode))
    finally:
        os.close(node)
