"""A directory read in place, with the permissions of the caller, and without what `.dockerignore` names.

The directory is hostile: openat2 opens every path inside the root, the kernel follows no symlink, and sockets are
passed over as Docker's client does. An ignored directory is still walked when a `!` line may bring back what is in it.
It then has mode 0755, because Docker's client never sends it itself.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Self

from lamina.builder.context.tree_state import StatedTree, Status
from lamina.dockerfile.ignore import IgnoreMatcher, Verdict
from lamina.errors import Forbidden, InvalidInput, NotFound
from lamina.layers.entry import Entry, EntryType, type_of
from lamina.layers.tree import Content, Node, Tree
from lamina.linux.paths import RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2
from lamina.linux.processes import Caller, acting_as

_RESOLVE = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS


class DirectoryTree:
    """The files below a directory. Owners read as 0:0, as Docker's client sends them. Close it after use."""

    def __init__(self, root: Path, caller: Caller | None = None) -> None:
        """Raise NotFound, Forbidden or InvalidInput when `root` is no directory that the caller can read."""
        self.root = root
        self._caller = caller
        try:
            with self._acting():
                self._fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise NotFound(f"unable to prepare context: path {str(root)!r} not found", path=str(root)) from error
        except PermissionError as error:
            raise Forbidden(f"no permission to read the build context {str(root)!r}", path=str(root)) from error
        except OSError as error:
            raise InvalidInput(f"{str(root)!r} is not a build context: {error.strerror}", path=str(root)) from error

    @property
    def identity(self) -> str:
        """Return a name under which sums of this directory are remembered."""
        status = os.fstat(self._fd)
        return f"{status.st_dev}:{status.st_ino}"

    def _acting(self) -> acting_as | nullcontext[None]:
        return nullcontext() if self._caller is None else acting_as(self._caller)

    def _open(self, path: str, flags: int) -> int:
        with self._acting():
            return openat2(self._fd, path or ".", flags, resolve=_RESOLVE)

    def lookup(self, path: str) -> Node | None:
        try:
            fd = self._open(path, os.O_PATH | os.O_NOFOLLOW)
        except PermissionError as error:
            raise Forbidden(f"no permission to read {path!r} in the build context", path=path) from error
        except OSError:
            return None
        try:
            status = os.fstat(fd)
            target = os.readlink("", dir_fd=fd) if stat.S_ISLNK(status.st_mode) else ""
        finally:
            os.close(fd)
        return _node(path, status, target)

    def children(self, path: str) -> Iterator[Node]:
        try:
            fd = self._open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except NotADirectoryError:
            return
        except PermissionError as error:
            raise Forbidden(f"no permission to read {path!r} in the build context", path=path) from error
        try:
            yield from self._listed(path, fd)
        finally:
            os.close(fd)

    def _listed(self, path: str, fd: int) -> Iterator[Node]:
        prefix = f"{path}/" if path else ""
        with self._acting(), os.scandir(fd) as items:
            names = sorted(items, key=lambda item: os.fsencode(item.name))
            nodes = [_node(prefix + item.name, item.stat(follow_symlinks=False), _target(fd, item)) for item in names]
        for node in nodes:
            if node is not None:
                yield node

    def statuses(self, path: str) -> list[Status]:
        """Return what is in a directory, as `tree_state` walks it. Raise OSError."""
        fd = self._open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            with self._acting(), os.scandir(fd) as items:
                return sorted((item.name, item.stat(follow_symlinks=False)) for item in items)
        finally:
            os.close(fd)

    def read(self, node: Node) -> Content:
        try:
            fd = self._open(node.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except PermissionError as error:
            raise Forbidden(f"no permission to read {node.path!r} in the build context", path=node.path) from error
        except FileNotFoundError as error:
            raise NotFound(f"{node.path!r} went away during the build", path=node.path) from error
        return _FileContent(fd)

    def close(self) -> None:
        """Close the directory. May be called twice."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class _FileContent:
    """An open descriptor, without the buffers that small files do not need."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            size = max(os.fstat(self._fd).st_size, 0) + 1
        return os.read(self._fd, size)

    def close(self) -> None:
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _target(fd: int, item: os.DirEntry[str]) -> str:
    return os.readlink(item.name, dir_fd=fd) if item.is_symlink() else ""


def _node(path: str, status: os.stat_result, target: str) -> Node | None:
    kind = type_of(status.st_mode)
    if kind is None:
        return None
    entry = Entry(
        path,
        kind,
        mode=stat.S_IMODE(status.st_mode),
        size=status.st_size if kind is EntryType.REGULAR else 0,
        mtime_ns=status.st_mtime_ns,
        target=target,
        major=os.major(status.st_rdev) if kind.is_device else 0,
        minor=os.minor(status.st_rdev) if kind.is_device else 0,
    )
    stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return Node(entry, status.st_ino, status.st_nlink, source=status.st_dev, stamp=stamp)


class IgnoringTree:
    """`tree` through an IgnoreMatcher. The root is always there."""

    def __init__(self, tree: Tree, matcher: IgnoreMatcher) -> None:
        self._tree = tree
        self._matcher = matcher
        self._verdicts: dict[str, Verdict] = {"": matcher.top}

    def _verdict(self, path: str) -> Verdict:
        verdict = self._verdicts.get(path)
        if verdict is None:
            verdict = self._matcher.match(path, self._verdict(path.rpartition("/")[0]))
        return verdict

    def _shown(self, node: Node) -> Node | None:
        verdict = self._verdict(node.path)
        if node.is_directory:
            self._verdicts[node.path] = verdict
        if not verdict.ignored:
            return node
        if not (node.is_directory and self._matcher.brings_back and any(self._kept(node))):
            return None
        return replace(node, entry=replace(node.entry, mode=0o755), implied=True)

    def _kept(self, directory: Node) -> Iterator[bool]:
        for child in self._tree.children(directory.path):
            if self._shown(child) is not None:
                yield True

    def lookup(self, path: str) -> Node | None:
        node = self._tree.lookup(path)
        return node if node is None or path == "" else self._shown(node)

    def children(self, path: str) -> Iterator[Node]:
        for child in self._tree.children(path):
            visible = self._shown(child)
            if visible is not None:
                yield visible

    def statuses(self, path: str) -> list[Status] | None:
        """Return what is in a directory and may be shown. A directory that a `!` line may bring back is among it."""
        statuses = self._tree.statuses(path) if isinstance(self._tree, StatedTree) else None
        if statuses is None:
            return None
        prefix = f"{path}/" if path else ""
        return [(name, status) for name, status in statuses if self._may_show(prefix + name, status)]

    def _may_show(self, path: str, status: os.stat_result) -> bool:
        verdict = self._verdict(path)
        if not stat.S_ISDIR(status.st_mode):
            return not verdict.ignored
        self._verdicts[path] = verdict
        return self._matcher.brings_back or not verdict.ignored

    def read(self, node: Node) -> Content:
        return self._tree.read(node)
