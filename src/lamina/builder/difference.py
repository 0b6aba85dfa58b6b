"""The difference of two trees as the files of a layer: what turns one into the other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from lamina.builder.layer_plan import PlannedFile
from lamina.layers.entry import EntryType, whiteout_entry
from lamina.layers.tree import Node, Tree, walk
from lamina.layers.union import StackTree

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Difference:
    """The files that turn `old` into `new`. A file of one layer in both stacks is the same without a look."""

    new: Tree
    old: Tree | None

    def below(self, path: str = "") -> Iterator[PlannedFile]:
        """Yield the changed files below a directory, and the directories that hold them."""
        before = {node.path: node for node in self.old.children(path)} if self.old else {}
        after = {node.path: node for node in self.new.children(path)}
        for name in sorted({*before, *after}, key=os.fsencode):
            old, new = before.get(name), after.get(name)
            if new is None:
                yield PlannedFile(whiteout_entry(name))
            elif old is None or old.is_directory != new.is_directory:
                yield from self._all(new)
            elif new.is_directory:
                yield from self._directory(old, new)
            elif not self._same(old, new):
                yield PlannedFile(new.entry, self.new, new)

    def _directory(self, old: Node, new: Node) -> Iterator[PlannedFile]:
        inside = list(self.below(new.path))
        if inside or not self._same(old, new):
            yield PlannedFile(new.entry)
            yield from inside

    def _all(self, node: Node) -> Iterator[PlannedFile]:
        for each in walk(self.new, node.path):
            yield PlannedFile(each.entry, self.new, each)

    def _same(self, old: Node, new: Node) -> bool:
        if self.old is None:
            return False
        if isinstance(self.old, StackTree) and isinstance(self.new, StackTree):
            layers = (self.old.layer_of(old), self.new.layer_of(new))
            if layers[0] == layers[1]:
                return self.old.in_layer(old).ino == self.new.in_layer(new).ino
        return self._looks_same(old, new)

    def _looks_same(self, old: Node, new: Node) -> bool:
        """Return whether two files of different layers have the same attributes and the same bytes."""
        plain = replace(old.entry, data_offset=-1, sparse=None), replace(new.entry, data_offset=-1, sparse=None)
        if plain[0] != plain[1]:
            return False
        return new.entry.type is not EntryType.REGULAR or self._same_bytes(old, new)

    def _same_bytes(self, old: Node, new: Node) -> bool:
        assert self.old is not None
        with self.old.read(old) as one, self.new.read(new) as other:
            while True:
                piece = one.read(_CHUNK)
                if piece != _exactly(other.read, len(piece) or 1):
                    return False
                if not piece:
                    return True


def _exactly(read: Callable[[int], bytes], size: int) -> bytes:
    """Return `size` bytes, fewer only at the end."""
    data = b""
    while len(data) < size and (piece := read(size - len(data))):
        data += piece
    return data
