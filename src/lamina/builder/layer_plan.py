"""The file changes of one step, planned over the files below, and written as one layer.

A step is planned from metadata alone. Its files are read once, in order, when the layer is written.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lamina.builder.file_sums import Sums
from lamina.dockerfile.position import Problem
from lamina.layers.entry import OPAQUE_NAME, Entry, EntryType, opaque_entry, whiteout_entry
from lamina.layers.layer_writer import LayerBuilder
from lamina.layers.tree import Content, Node, Tree, entry_at, resolve


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file of the layer: its entry, and the source of its bytes, which is a file of a tree or `content`."""

    entry: Entry
    tree: Tree | None = None
    node: Node | None = None
    content: bytes | None = None


class LayerPlan:
    """Changes over `base`. Paths are relative and clean; `resolve` gives such paths."""

    def __init__(self, base: Tree) -> None:
        self._base = base
        self._changes: dict[str, PlannedFile] = {}
        self._names: dict[str, set[str]] = {}
        self._new: set[str] = set()  # directories below which the base has nothing
        self._removed: set[str] = set()  # of the base
        self._opaque: set[str] = set()  # directories in place of removed ones
        self.created: set[str] = set()
        """Directories that were made because a file had to be put into them. They have no source."""

    def __len__(self) -> int:
        return len(self._changes)

    def lookup(self, path: str) -> Entry | None:
        """Return the entry that `path` will have; symlinks are not followed."""
        planned = self._changes.get(path)
        if planned is not None:
            return None if path in self._removed else planned.entry
        if self._below_new(path):
            return None
        return entry_at(self._base, path)

    def _below_new(self, path: str) -> bool:
        if not self._new and not self._removed:
            return False
        parent = path
        while parent:
            parent = parent.rpartition("/")[0]
            if parent in self._new or parent in self._removed:
                return True
        return False

    def resolve(self, path: str, below: str = "") -> str:
        """Return `path` with all symlinks followed inside the tree. Raise InvalidInput for a loop.

        With `below` (resolved itself) that directory is the root: `path` starts there, and no link leads out of it.
        """
        if not below:
            return resolve(self.lookup, path)
        inside = resolve(lambda at: self.lookup(f"{below}/{at}"), path)
        return f"{below}/{inside}" if inside else below

    def is_directory(self, path: str) -> bool:
        """Return whether `path`, resolved already, is a directory; the root always is."""
        entry = self.lookup(path)
        return path == "" or (entry is not None and entry.type is EntryType.DIRECTORY)

    def landing(self, path: str, below: str = "") -> str:
        """Return where a directory lands that is put at `path`: where a link that is there leads to.

        `below` is as for `resolve`. Raise Problem when the link leads to a file.
        """
        parent, _, name = path.rpartition("/")
        parent = self.resolve(parent, below)
        place = f"{parent}/{name}" if parent else name
        entry = self.lookup(place)
        if entry is None or entry.type is not EntryType.SYMLINK:
            return place
        target = self.resolve(path, below)
        self.make_directories(target)
        return target

    def put(self, planned: PlannedFile) -> None:
        """Put an entry in place of what is there. A directory over a directory only changes its attributes."""
        entry = planned.entry
        before = self.lookup(entry.path)
        is_directory = entry.type is EntryType.DIRECTORY
        if before is not None and before.type is EntryType.DIRECTORY and not is_directory:
            self._forget_below(entry.path)
            self._new.discard(entry.path)
        if is_directory and (before is None or before.type is not EntryType.DIRECTORY):
            self._new.add(entry.path)
        if entry.path in self._removed:
            self._removed.discard(entry.path)
            if is_directory:
                self._opaque.add(entry.path)
        self._changes[entry.path] = planned
        self._names.setdefault(entry.parent, set()).add(entry.path)

    def put_copy(self, planned: PlannedFile) -> None:
        """Put a copied entry in place of what is there, unless that is a link to a directory.

        Whoever made /bin a link to usr/bin needs what is there. A link takes the place of a link; raise Problem for all
        else.
        """
        path = planned.entry.path
        before = self.lookup(path)
        if before is not None and before.type is EntryType.SYMLINK and planned.entry.type is not EntryType.SYMLINK:
            target = self.resolve(path)
            if self.is_directory(target):
                advice = f"Give the file another name, or remove the link first (RUN rm /{path})."
                raise Problem(f"cannot replace /{path}, a link to the directory /{target}, with a file", advice)
        self.put(planned)

    def remove(self, path: str) -> None:
        """Delete what is at `path`, resolved but for its last part, with all below it. Ignore what is not there."""
        if self.lookup(path) is None:
            return
        self._forget_below(path)
        self._new.discard(path)
        self._opaque.discard(path)
        self.created.discard(path)
        if not self._below_new(path) and entry_at(self._base, path) is not None:
            self._changes[path] = PlannedFile(whiteout_entry(path))
            self._removed.add(path)
            self._names.setdefault(path.rpartition("/")[0], set()).add(path)
        else:
            self._changes.pop(path, None)
            self._names.get(path.rpartition("/")[0], set()).discard(path)

    def _forget_below(self, path: str) -> None:
        todo = [path]
        while todo:
            children = self._names.pop(todo.pop(), set())
            for child in children:
                self._changes.pop(child, None)
                for places in (self._new, self._removed, self._opaque, self.created):
                    places.discard(child)
            todo += children

    def make_directories(self, path: str, *, uid: int = 0, gid: int = 0, mode: int = 0o755) -> bool:
        """Make `path` and its missing parents, as `mkdir -p`. Return whether `path` is new.

        Raise Problem when a file is in the way.
        """
        missing: list[str] = []
        while path and self.lookup(path) is None:
            missing.append(path)
            path = path.rpartition("/")[0]
        if not self.is_directory(path):
            raise Problem(f"mkdir /{path}: not a directory", "A file of that name is in the way.")
        for new in reversed(missing):
            self.put(PlannedFile(Entry(new, EntryType.DIRECTORY, mode, uid, gid)))
            self.created.add(new)
        return bool(missing)

    def members(self, time_ns: int) -> Iterator[PlannedFile]:
        """Return everything that goes into the layer, parents first, names in order.

        Directories of the base that hold a change come along with the attributes they have, so that the layer can be
        stacked by overlayfs. Made directories get `time_ns`. Names of one file become hard links to the first.
        """
        files = self._with_parents(time_ns)
        return with_links(files[path] for path in sorted(files, key=_order))

    def _with_parents(self, time_ns: int) -> dict[str, PlannedFile]:
        files = {f"{path}/{OPAQUE_NAME}": PlannedFile(opaque_entry(path)) for path in self._opaque}
        for path, planned in self._changes.items():
            if path in self.created:
                planned = PlannedFile(replace(planned.entry, mtime_ns=time_ns))
            files[path] = planned
        for path in list(files):
            parent = path.rpartition("/")[0]
            while parent and parent not in files:
                entry = entry_at(self._base, parent)
                if entry is None:
                    raise Problem(f"/{parent} is not there to hold /{path}")
                files[parent] = PlannedFile(entry)
                parent = parent.rpartition("/")[0]
        return files


def with_links(members: Iterable[PlannedFile]) -> Iterator[PlannedFile]:
    """Yield the files. Second and later names of one file become hard links to its first."""
    first: dict[object, str] = {}
    for planned in members:
        shared = planned.node.shared if planned.node is not None else None
        if shared is not None and planned.entry.type is EntryType.REGULAR:
            key = (id(planned.tree), shared)
            if key in first:
                yield PlannedFile(_as_link(planned.entry, first[key]))
                continue
            first[key] = planned.entry.path
        yield planned


def _order(path: str) -> bytes:
    return os.fsencode(path).replace(b"/", b"\0")


def _as_link(entry: Entry, target: str) -> Entry:
    return replace(entry, type=EntryType.HARDLINK, target=target, size=0, sparse=None)


if TYPE_CHECKING:
    from hashlib import _Hash


class _Summing:
    """A file's bytes on their way into the layer, hashed as they pass."""

    __slots__ = ("_data", "_hasher")

    def __init__(self, data: Content, hasher: _Hash) -> None:
        self._data = data
        self._hasher = hasher

    def read(self, size: int, /) -> bytes:
        piece = self._data.read(size)
        self._hasher.update(piece)
        return piece


def write_files(builder: LayerBuilder, files: Iterable[PlannedFile], sums: Mapping[int, Sums] | None = None) -> None:
    """Add all files to a layer, in order. `sums` has the memory of each tree, by `id(tree)`.

    Raise InvalidInput when a file got shorter while it was read, NoSpace, Cancelled, and what the trees raise.
    """
    for planned in files:
        _add(builder, planned, sums.get(id(planned.tree)) if sums else None)


def _add(builder: LayerBuilder, planned: PlannedFile, memory: Sums | None) -> None:
    tree, node, entry = planned.tree, planned.node, planned.entry
    if tree is None or node is None or entry.type is not EntryType.REGULAR:
        builder.add(entry, planned.content)
        return
    with tree.read(node) as data:
        if memory is None or memory.known(node) is not None:
            builder.add(entry, data)
        else:
            hasher = hashlib.sha256(memory.header(node))
            builder.add(entry, _Summing(data, hasher))
            memory.note(node, hasher.hexdigest())
