"""One digest for the state of many files of a directory: equal states hold equal files, without a byte being read.

A state is what lstat(2) says of each file. It is for the memory of builds: walking 20,000 unchanged files this way
takes a fraction of the time that their nodes and sums take.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from lamina.layers.tree import Node

SETTLED_NS = 100_000_000  # a file changed more recently than this may change again within one tick of its clock

Status = tuple[str, os.stat_result]


@runtime_checkable
class StatedTree(Protocol):
    """A tree whose files have states."""

    def lookup(self, path: str) -> Node | None: ...

    def statuses(self, path: str) -> list[Status] | None:
        """Return what is in a directory, sorted by name; None where the tree cannot tell. Raise OSError."""
        ...


@dataclass(frozen=True, slots=True)
class TreeState:
    """`digest` changes when a file does. Only a `settled` state may be remembered: others may hide a change."""

    digest: str
    settled: bool


def tree_state(tree: object, paths: Sequence[str]) -> TreeState | None:
    """Return the state of the files at and below these paths; None where there is none.

    What a symlink leads to counts too, so where there is one, the state is that of the whole tree.
    """
    if not isinstance(tree, StatedTree):
        return None
    try:
        walk = _Walk(tree)
        if not all(map(walk.take, paths)):
            walk = _Walk(tree)
            walk.take("")
        return walk.state()
    except (_NoState, OSError):
        return None  # where something is wrong, the build itself will raise it


class _NoState(Exception):
    """The tree cannot tell."""


class _Walk:
    def __init__(self, tree: StatedTree) -> None:
        self._tree = tree
        self._hasher = hashlib.sha256()
        self._newest_ns = 0
        self._links = False

    def state(self) -> TreeState:
        return TreeState(self._hasher.hexdigest(), self._newest_ns < time.time_ns() - SETTLED_NS)

    def take(self, path: str) -> bool:
        """Take a file with all below it. Return whether that is all that matters: False where a symlink leads away."""
        node = self._tree.lookup(path)
        if node is None or node.stamp is None:
            raise _NoState
        self._hasher.update(repr((path, node.entry.type.value, node.entry.mode, node.stamp)).encode())
        self._newest_ns = max(self._newest_ns, node.stamp[-1])
        if node.is_directory:
            self._below(path)
        return node.entry.target == "" and not self._links

    def _below(self, path: str) -> None:
        todo = [path]
        while todo:
            directory = todo.pop()
            statuses = self._tree.statuses(directory)
            if statuses is None:
                raise _NoState
            head = f"{len(statuses)} {directory}\0"  # with a number, so that no name can pass for a line of others
            self._hasher.update(os.fsencode("".join([head, *self._lines(directory, statuses, todo)])))

    def _lines(self, directory: str, statuses: list[Status], todo: list[str]) -> Iterator[str]:
        prefix = f"{directory}/" if directory else ""
        for name, status in statuses:
            mode, changed = status.st_mode, status.st_ctime_ns
            if stat.S_ISDIR(mode):
                todo.append(prefix + name)
            elif stat.S_ISLNK(mode):
                self._links = True
            if changed > self._newest_ns:
                self._newest_ns = changed
            yield (
                f"{name}\0{mode:o} {status.st_dev} {status.st_ino} {status.st_nlink} {status.st_rdev}"
                f" {status.st_size} {status.st_mtime_ns} {changed}\n"
            )
