"""Read-only trees of files, without a mount: one layer, a stack of them, a directory, a build context."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from lamina.errors import InvalidInput
from lamina.layers.entry import Entry, EntryType
from lamina.layers.limits import Limits
from lamina.linux.paths import follow

_LONGEST = Limits().path_length
_SHOWN = 80  # characters of a path in an error


@dataclass(frozen=True, slots=True)
class Node:
    """A file of a tree. `entry.type` is never HARDLINK: the names of one file have the same `ino` and `nlink` > 1.

    In the tree of a single layer a deletion is a character device 0:0 (`is_whiteout`), and `opaque` is set on
    directories that hide what the layers below have in them.
    """

    entry: Entry
    ino: int = 0
    """Tells the files of one `source` apart."""
    nlink: int = 1
    opaque: bool = False
    implied: bool = False
    """A missing parent directory of a file. Its attributes are made up."""
    source: int = 0
    """Where the file is from: the number of the layer in a stack, 0 being the bottom, or the device of a directory."""
    stamp: tuple[int, ...] | None = None
    """The state of a file on disk: device, inode, size, mtime and ctime. None where the tree itself never changes."""

    @property
    def path(self) -> str:
        """Return the path in the tree; "" for the root."""
        return self.entry.path

    @property
    def name(self) -> str:
        """Return the last part of the path; "" for the root."""
        return self.entry.name

    @property
    def is_directory(self) -> bool:
        """Return whether the node is a directory."""
        return self.entry.type is EntryType.DIRECTORY

    @property
    def is_whiteout(self) -> bool:
        """Return whether the node says that a name of the layers below is gone."""
        return self.entry.type is EntryType.CHAR and self.entry.major == self.entry.minor == 0

    @property
    def shared(self) -> tuple[int, int] | None:
        """Return what all names of one file have in common; None for a file with a single name."""
        return (self.source, self.ino) if self.nlink > 1 and not self.is_directory else None


class Content(Protocol):
    """The bytes of one file, holes as zeros. Whoever asked for them closes it."""

    def read(self, size: int = -1, /) -> bytes: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class Tree(Protocol):
    """A tree of files. Paths are as in Entry: relative, "" for the root; leading and doubled slashes are ignored.

    No function follows a symlink. They raise Corrupt when what is on disk is damaged.
    """

    def lookup(self, path: str) -> Node | None:
        """Return the file at `path`; None when there is none, or when something on the way is no directory."""
        ...

    def children(self, path: str) -> Iterator[Node]:
        """Yield what is in the directory `path`, sorted by the bytes of the names; nothing for other files."""
        ...

    def read(self, node: Node) -> Content:
        """Open the contents of a REGULAR node of this tree."""
        ...


class MemoryTree:
    """Files by name, all in the root, with their bytes in memory. Without files it is the tree of `FROM scratch`."""

    def __init__(self, files: Mapping[str, bytes] | None = None, *, mtime_ns: int = 0) -> None:
        self._files = dict(files or {})
        self._nodes = {
            name: Node(Entry(name, EntryType.REGULAR, 0o644, size=len(content), mtime_ns=mtime_ns))
            for name, content in self._files.items()
        }

    def lookup(self, path: str) -> Node | None:
        return self._nodes.get(path) if path else Node(Entry("", EntryType.DIRECTORY, 0o755))

    def children(self, path: str) -> Iterator[Node]:
        yield from sorted(self._nodes.values(), key=name_key) if path == "" else ()

    def read(self, node: Node) -> Content:
        return io.BytesIO(self._files[node.path])


def walk(tree: Tree, path: str = "") -> Iterator[Node]:
    """Yield the file at `path` and all below it, directories before what is in them, sorted in each directory."""
    top = tree.lookup(path)
    if top is None:
        return
    todo = [top]
    while todo:
        node = todo.pop()
        yield node
        if node.is_directory:
            todo.extend(reversed(list(tree.children(node.path))))


def resolve(lookup: Callable[[str], Entry | None], path: str) -> str:
    """Return `path` without symlinks, never above the root. What is missing is taken as it is written.

    `lookup` returns the entry at a path. Raise InvalidInput for a loop of links, and for what no path can be: one with
    a NUL in it, or longer than the kernel's PATH_MAX.
    """
    if "\0" in path:
        raise InvalidInput(f"the path {path[:_SHOWN]!r} holds a NUL byte")
    if len(path) > _LONGEST:
        raise InvalidInput(f"the path {path[:_SHOWN]!r}… is longer than {_LONGEST} bytes", advice="Use shorter names.")

    def link(place: str, more: bool) -> str:
        entry = lookup(place)
        return entry.target if entry is not None and entry.type is EntryType.SYMLINK else ""

    return follow(path, link)


def find(tree: Tree, path: str) -> Node | None:
    """Return the file that `path` leads to, symlinks followed inside the tree; None when there is none.

    Raise InvalidInput for a loop of links.
    """
    return tree.lookup(resolve(lambda place: entry_at(tree, place), path))


def entry_at(tree: Tree, path: str) -> Entry | None:
    """Return the entry at `path`, symlinks not followed; None when there is none."""
    node = tree.lookup(path)
    return None if node is None else node.entry


def read_all(tree: Tree, node: Node, limit: int) -> bytes:
    """Return a file's bytes. Raise InvalidInput when there are more than `limit`."""
    with tree.read(node) as content:
        data = content.read(limit + 1)
    if len(data) > limit:
        raise InvalidInput(f"{node.path} is larger than {limit} bytes", path=node.path)
    return data


def name_key(node: Node) -> bytes:
    """Return what the nodes of a directory are sorted by."""
    return os.fsencode(node.name)
