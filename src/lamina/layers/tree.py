"""What it means to be a tree of files that can be read without a mount: one layer, a stack of them, a directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from lamina.layers.entry import Entry, EntryType


@dataclass(frozen=True, slots=True)
class Node:
    """A file of a tree. `entry.type` is never HARDLINK: the names of one file have the same `ino` and `nlink` > 1.

    In the tree of a single layer a deletion is a character device 0:0 (`is_whiteout`), and `opaque` is set on
    directories that hide what the layers below have in them.
    """

    entry: Entry
    ino: int
    """Tells the files of one tree apart."""
    nlink: int
    opaque: bool = False
    implied: bool = False
    """A directory that the layer needs and did not describe: its attributes are made up, those of a layer below count.
    """
    source: int = 0
    """In a union: which of its trees the file is from, 0 being the bottom."""

    @property
    def name(self) -> str:
        """The last part of the path; "" for the root."""
        return self.entry.name

    @property
    def is_directory(self) -> bool:
        """Whether the node is a directory."""
        return self.entry.type is EntryType.DIRECTORY

    @property
    def is_whiteout(self) -> bool:
        """Whether the node says that a name of the layers below is gone."""
        return self.entry.type is EntryType.CHAR and self.entry.major == self.entry.minor == 0


class Tree(Protocol):
    """A tree of files. Paths are as in Entry: relative, "" for the root; leading and doubled slashes are ignored.

    No function follows a symlink. They raise Corrupt when what is on disk is damaged.
    """

    def lookup(self, path: str) -> Node | None:
        """The file at `path`; None when there is none, or when something on the way is no directory."""
        ...

    def children(self, path: str) -> Iterator[Node]:
        """What is in the directory `path`, sorted by the bytes of the names; nothing when that is no directory."""
        ...

    def read(self, node: Node) -> BinaryIO:
        """The contents of a REGULAR node of this tree, seekable, with zeros in the holes; close it after use."""
        ...


def walk(tree: Tree, path: str = "") -> Iterator[Node]:
    """The file at `path` and all below it, directories before what is in them, sorted within each directory."""
    top = tree.lookup(path)
    if top is None:
        return
    todo = [top]
    while todo:
        node = todo.pop()
        yield node
        if node.is_directory:
            todo.extend(reversed(list(tree.children(node.entry.path))))


def name_key(node: Node) -> bytes:
    """What the nodes of a directory are sorted by."""
    return os.fsencode(node.entry.name)
