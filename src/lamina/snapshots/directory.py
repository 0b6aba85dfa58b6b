"""DirectoryTree: a directory on disk as a Tree, with overlayfs' marks understood where it is an upper directory."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from lamina.errors import InvalidInput, NotFound
from lamina.layers.entry import Entry, EntryType, type_of
from lamina.layers.index.xattrs import unescape
from lamina.layers.tree import Node, name_key
from lamina.linux.paths import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2

_INSIDE = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
_OPAQUE = "trusted.overlay.opaque"
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV, errno.ENAMETOOLONG)


class DirectoryTree:
    """A Tree over the directory `root`, which somebody else may be changing: what vanishes meanwhile is left out.

    With `overlay`, whiteouts and opaque marks are shown as those of a layer, and overlayfs' attributes are hidden.
    Sockets, which no layer can hold, do not show. No path leads out of `root`.
    """

    def __init__(self, root: Path, *, overlay: bool = False) -> None:
        self._root = root
        self._overlay = overlay

    def lookup(self, path: str) -> Node | None:
        parts = [part for part in path.split("/") if part]
        with self._opened("/".join(parts), os.O_PATH | os.O_NOFOLLOW) as fd:
            return None if fd is None else self._node("/".join(parts), fd)

    def children(self, path: str) -> Iterator[Node]:
        parts = [part for part in path.split("/") if part]
        nodes: list[Node] = []
        with self._opened("/".join(parts), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW) as directory:
            if directory is None:
                return
            prefix = "".join(f"{part}/" for part in parts)
            for name in os.listdir(directory):
                with contextlib.suppress(FileNotFoundError):
                    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
                    try:
                        node = self._node(prefix + name, fd)
                    finally:
                        os.close(fd)
                    if node is not None:
                        nodes.append(node)
        yield from sorted(nodes, key=name_key)

    def read(self, node: Node) -> BinaryIO:
        """Open the contents of a file. Raise NotFound when it is gone."""
        if node.entry.type is not EntryType.REGULAR:
            raise InvalidInput(f"{node.entry.path!r} is a {node.entry.type.value}, not a regular file")
        root = os.open(self._root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fd = openat2(root, node.entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, resolve=_INSIDE)
        except OSError as error:
            if error.errno in _GONE:
                raise NotFound(f"{node.entry.path!r} is gone", path=node.entry.path) from error
            raise
        finally:
            os.close(root)
        return open(fd, "rb")

    @contextlib.contextmanager
    def _opened(self, path: str, flags: int) -> Iterator[int | None]:
        """Yield a descriptor for `path`, None when there is no such file."""
        root = os.open(self._root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fd = openat2(root, path or ".", flags, resolve=_INSIDE)
        except OSError as error:
            if error.errno not in _GONE:
                raise
            yield None
            return
        finally:
            os.close(root)
        try:
            yield fd
        finally:
            os.close(fd)

    def _node(self, path: str, fd: int) -> Node | None:
        status = os.stat(fd)
        kind = type_of(status.st_mode)
        if kind is None:
            return None
        xattrs = _xattrs(fd)
        entry = Entry(
            path,
            kind,
            mode=stat.S_IMODE(status.st_mode),
            uid=status.st_uid,
            gid=status.st_gid,
            size=status.st_size if kind is EntryType.REGULAR else 0,
            mtime_ns=status.st_mtime_ns,
            target=os.readlink("", dir_fd=fd) if kind is EntryType.SYMLINK else "",
            major=os.major(status.st_rdev) if kind.is_device else 0,
            minor=os.minor(status.st_rdev) if kind.is_device else 0,
            xattrs=self._own(xattrs),
        )
        opaque = self._overlay and xattrs.get(_OPAQUE) == b"y"
        return Node(entry, status.st_ino, status.st_nlink, opaque=opaque)

    def _own(self, xattrs: dict[str, bytes]) -> dict[str, bytes]:
        """Return the attributes as they show in the mounted tree."""
        if not self._overlay:
            return xattrs
        return {own: value for name, value in xattrs.items() if (own := unescape(name)) is not None}


def _xattrs(fd: int) -> dict[str, bytes]:
    """Return the extended attributes of what an O_PATH descriptor stands for; a symlink's own are those of the link."""
    path = f"/proc/self/fd/{fd}"
    try:
        return {name: os.getxattr(path, name) for name in os.listxattr(path)}
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.ENODATA, errno.ENOENT):
            return {}
        raise
