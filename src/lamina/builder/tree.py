"""Read-only file trees as the builder sees them: a context, the files of an image, and paths resolved inside them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Protocol

from lamina.dockerfile.position import Problem
from lamina.errors import InvalidInput
from lamina.formats.symlinks import follow
from lamina.layers.entry import Entry, EntryType


class Data(Protocol):
    """The bytes of one file; closed by whoever asked for them."""

    def read(self, size: int = -1, /) -> bytes: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Node:
    """One file of a tree. `shared` is equal for all names of one file that has several, else None.

    `stamp` identifies the state of a file on disk (device, inode, size, mtime and ctime in ns), None where the tree
    itself never changes.
    """

    entry: Entry
    shared: Hashable = None
    stamp: tuple[int, ...] | None = None
    inner: object = None  # what the tree itself knows the file by
    implied: bool = False  # a directory that is there only for what is in it: nobody described it

    @property
    def path(self) -> str:
        return self.entry.path

    @property
    def is_directory(self) -> bool:
        return self.entry.type is EntryType.DIRECTORY


class Tree(Protocol):
    """Files by path; paths are relative, clean, "/"-separated, the root is "". Symlinks are never followed here."""

    def lookup(self, path: str) -> Node | None:
        """The file at `path`, or None."""

    def children(self, path: str) -> Iterator[Node]:
        """What the directory at `path` holds, sorted by name; nothing for other files."""

    def open(self, node: Node) -> Data:
        """The stored bytes of a regular file of this tree."""


class EmptyTree:
    """The tree of `FROM scratch`: a root and nothing in it."""

    def lookup(self, path: str) -> Node | None:
        return Node(Entry("", EntryType.DIRECTORY, 0o755)) if path == "" else None

    def children(self, path: str) -> Iterator[Node]:
        return iter(())

    def open(self, node: Node) -> Data:
        raise FileNotFoundError(node.path)


def resolve(lookup: Callable[[str], Entry | None], path: str) -> str:
    """Return `path` without symlinks, never above the root. What is missing is taken as it is written.

    Raise Problem for a loop of links.
    """

    def link(at: str, more: bool) -> str:
        entry = lookup(at)
        return entry.target if entry is not None and entry.type is EntryType.SYMLINK else ""

    try:
        return follow(path, link)
    except InvalidInput as error:
        raise Problem(error.message, "A symlink leads back to itself.") from None


def find(tree: Tree, path: str) -> Node | None:
    """The file that `path` leads to, all symlinks followed inside the tree; None when there is none."""
    return tree.lookup(resolve(lambda at: entry_of(tree.lookup(at)), path))


def entry_of(node: Node | None) -> Entry | None:
    """The entry of a file that may be missing."""
    return None if node is None else node.entry


def walk(tree: Tree, node: Node) -> Iterator[Node]:
    """`node` and everything below it, parents first, names in order; at any depth a path can name."""
    todo: list[Iterator[Node]] = [iter((node,))]
    while todo:
        found = next(todo[-1], None)
        if found is None:
            todo.pop()
            continue
        yield found
        if found.is_directory:
            todo.append(tree.children(found.path))


def read_all(tree: Tree, node: Node, limit: int) -> bytes:
    """A file's bytes. Raises Problem when there are more than `limit`."""
    data = tree.open(node)
    try:
        content = data.read(limit + 1)
    finally:
        data.close()
    if len(content) > limit:
        raise Problem(f"{node.path} is larger than {limit} bytes")
    return content
