"""Trees whose bytes lie in one temporary file: a context that came as a tar, and a file that was downloaded.

Rule for a tar: what Docker's builder sees after it unpacks the same stream. Later members replace earlier ones,
parents that are missing come into being with mode 0755, and a path through a symlink lands where the link leads inside
the context.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import posixpath
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Self

from lamina.builder.file_sums import sum_header
from lamina.errors import InvalidInput
from lamina.layers.entry import Entry, EntryType
from lamina.layers.limits import Limits
from lamina.layers.tar.reader import Member, read_tar
from lamina.layers.tar.source import Readable
from lamina.layers.tree import Content, Node, find, resolve
from lamina.linux.writing import write_all

_CHUNK = 1 << 20
_SMALL = 64 << 10


class SpoolTree:
    """A tree whose bytes are in a file without a name, which is gone when it is closed, also by a crash."""

    def __init__(self, folder: Path, fd: int | None = None) -> None:
        """Spool into a new file in `folder`, or into the one open as `fd`, which the tree then closes."""
        self._fd = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600) if fd is None else fd

    def close(self) -> None:
        """Drop the spooled bytes. May be called twice."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class SpooledFiles(SpoolTree):
    """Files by path and names by directory, which begin with an empty root."""

    def __init__(self, folder: Path, fd: int | None = None) -> None:
        self._nodes: dict[str, Node] = {"": Node(Entry("", EntryType.DIRECTORY, 0o755))}
        self._names: dict[str, set[str]] = {"": set()}
        super().__init__(folder, fd)

    def lookup(self, path: str) -> Node | None:
        return self._nodes.get(path)

    def children(self, path: str) -> Iterator[Node]:
        prefix = f"{path}/" if path else ""
        for name in sorted(self._names.get(path, ()), key=os.fsencode):
            yield self._nodes[prefix + name]

    def read(self, node: Node) -> Content:
        return SpooledContent(self._fd, node.entry.data_offset, node.entry.stored_size)


class _Spool:
    """Passes a stream on, and keeps all of it in a file."""

    def __init__(self, stream: Readable, fd: int) -> None:
        self._stream = stream
        self._fd = fd

    def read(self, size: int, /) -> bytes:
        piece = self._stream.read(size)
        write_all(self._fd, piece)
        return piece


class ArchiveTree(SpooledFiles):
    """The files of a plain tar. `sums` has the Docker sum of each regular file by path. Close it after use."""

    def __init__(
        self, stream: Readable, folder: Path, limits: Limits | None = None, *, keep_owners: bool = False
    ) -> None:
        """Read `stream` to its end into a nameless file in `folder`. Raise InvalidInput, TooLarge.

        A context belongs to 0:0 and has no extended attributes; with `keep_owners` both stay, and nothing is summed.
        """
        self._keep = keep_owners
        self._links = False
        self._numbers = itertools.count(1)
        self.sums: dict[str, str] = {}
        super().__init__(folder)
        try:
            spool = _Spool(stream, self._fd)
            for member in read_tar(spool, limits):
                self._take(member)
            while spool.read(_CHUNK):
                continue
        except BaseException:
            self.close()
            raise

    def _take(self, member: Member) -> None:
        entry = member.entry
        path = self._landing(entry.path)
        if path == "":
            return
        if entry.type is EntryType.HARDLINK:
            self._link(path, entry)
            return
        entry = self._kept(entry, path)
        self._put(path, Node(entry, next(self._numbers)))
        if entry.type is EntryType.REGULAR and not self._keep:
            self.sums[path] = _sum(sum_header(entry), member)
        self._links = self._links or entry.type is EntryType.SYMLINK

    def _kept(self, entry: Entry, path: str) -> Entry:
        """Return the entry as this tree keeps it. Spelled out, because it runs for every file."""
        keep = self._keep
        has_owner = entry.uid or entry.gid or entry.uname or entry.gname
        if not (has_owner or entry.xattrs or entry.type is EntryType.SYMLINK) and path is entry.path:
            return entry
        return Entry(
            path,
            entry.type,
            0o777 if entry.type is EntryType.SYMLINK else entry.mode,
            entry.uid if keep else 0,
            entry.gid if keep else 0,
            entry.size,
            entry.mtime_ns,
            entry.target,
            entry.major,
            entry.minor,
            entry.xattrs if keep else {},
            "",
            "",
            entry.sparse,
            entry.data_offset,
        )

    def _landing(self, path: str) -> str:
        if not self._links or "/" not in path:
            return path
        parent, _, name = path.rpartition("/")
        parent = resolve(self._entry, parent)
        return f"{parent}/{name}" if parent else name

    def _entry(self, path: str) -> Entry | None:
        node = self._nodes.get(path)
        return None if node is None else node.entry

    def _link(self, path: str, entry: Entry) -> None:
        target = self._landing(entry.target)
        original = self._nodes.get(target)
        if original is None or original.is_directory:
            raise InvalidInput(f"the context's tar links {path!r} to {target!r}, which is not in it", path=path)
        original = self._nodes[target] = replace(original, nlink=original.nlink + 1)
        self._put(path, replace(original, entry=replace(original.entry, path=path)))
        if target in self.sums:
            self.sums[path] = self.sums[target]

    def _put(self, path: str, node: Node) -> None:
        self._make_parents(path)
        present = self._nodes.get(path)
        if present is not None and present.is_directory and not node.is_directory:
            self._drop_below(path)
        self._nodes[path] = node
        if node.is_directory:
            self._names.setdefault(path, set())

    def _make_parents(self, path: str) -> None:
        """Add the missing parents of `path`. It does not recurse, as a path may have thousands of parts."""
        parent, _, name = path.rpartition("/")
        while (names := self._names.get(parent)) is None:
            self._nodes[parent] = Node(Entry(parent, EntryType.DIRECTORY, 0o755), implied=True)
            self._names[parent] = {name}
            parent, _, name = parent.rpartition("/")
        names.add(name)

    def _drop_below(self, path: str) -> None:
        todo = [path]
        while todo:
            directory = todo.pop()
            below = [f"{directory}/{name}" for name in self._names.pop(directory, ())]
            for each in below:
                self._nodes.pop(each, None)
            todo += below

    def enter(self, folder: str) -> None:
        """Make a folder of the tree its root. Raise InvalidInput for what is no folder."""
        path = posixpath.normpath(folder).strip("/") if folder else "."
        if path == ".":
            return
        node = find(self, path)
        if node is None or not node.is_directory:
            raise InvalidInput(f"the context has no folder {folder}", path=folder)
        start = len(node.path) + 1
        below = {path: each for path, each in self._nodes.items() if path.startswith(f"{node.path}/")}
        self._names = {path[start:]: names for path, names in self._names.items() if path == node.path or path in below}
        self._nodes = {"": replace(node, entry=replace(node.entry, path=""))} | {
            path[start:]: replace(each, entry=replace(each.entry, path=path[start:])) for path, each in below.items()
        }
        self.sums = {path[start:]: sum_ for path, sum_ in self.sums.items() if path in below}

    def remove(self, path: str) -> None:
        """Take a file or directory out of the tree; the spooled bytes stay."""
        self._drop_below(path)
        if self._nodes.pop(path, None) is not None:
            parent, _, name = path.rpartition("/")
            self._names[parent].discard(name)


def _sum(header: bytes, member: Member) -> str:
    """Return the sum of a file whose bytes come next in the stream. Small ones are taken in one piece."""
    whole = member.whole(_SMALL)
    if whole is not None:
        return hashlib.sha256(header + whole).hexdigest()
    hasher = hashlib.sha256(header)
    data = member.data
    while piece := data.read(_CHUNK):
        hasher.update(piece)
    return hasher.hexdigest()


class DownloadTree(SpoolTree):
    """One file that is written here and then read. Close it after use."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._node: Node | None = None
        self._size = 0

    def write(self, data: bytes, /) -> None:
        """Take more bytes."""
        write_all(self._fd, data)
        self._size += len(data)

    def finish(self, name: str, *, mtime_ns: int) -> Node:
        """Make the bytes so far the file `name`."""
        self._node = Node(Entry(name, EntryType.REGULAR, 0o600, size=self._size, mtime_ns=mtime_ns, data_offset=0))
        return self._node

    def lookup(self, path: str) -> Node | None:
        if path == "":
            return Node(Entry("", EntryType.DIRECTORY, 0o755))
        return self._node if self._node is not None and path == self._node.path else None

    def children(self, path: str) -> Iterator[Node]:
        return iter([self._node] if path == "" and self._node is not None else [])

    def read(self, node: Node) -> Content:
        return SpooledContent(self._fd, 0, node.entry.size)


class SpooledContent:
    """A range of a temporary file, which belongs to the tree."""

    __slots__ = ("_end", "_fd", "_position")

    def __init__(self, fd: int, start: int, size: int) -> None:
        self._fd = fd
        self._position = start
        self._end = start + size

    def read(self, size: int = -1, /) -> bytes:
        left = self._end - self._position
        piece = os.pread(self._fd, left if size < 0 else min(size, left), self._position) if left > 0 else b""
        self._position += len(piece)
        return piece

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass
