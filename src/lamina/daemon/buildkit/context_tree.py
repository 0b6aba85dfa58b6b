"""The files that a client sent over its session: a tree whose bytes lie in one file.

No path of the client is ever opened here. A listing that leaves its folder, repeats a name, or goes through something
that is no directory is refused.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
from dataclasses import dataclass, replace
from pathlib import Path

from lamina.builder.context.archive import SpooledFiles
from lamina.builder.context.saved_files import Row, Saved
from lamina.builder.file_sums import sum_header
from lamina.daemon.buildkit.messages.session import Stat
from lamina.errors import InvalidInput, TooLarge
from lamina.layers.entry import Entry, EntryType
from lamina.layers.limits import Limits
from lamina.layers.tree import Node
from lamina.linux.files import copy_range
from lamina.linux.writing import write_all_at

# Bits of Go's os.FileMode, which fsutil has on the wire.
_DIRECTORY, _SYMLINK, _DEVICE, _FIFO, _SOCKET = 1 << 31, 1 << 27, 1 << 26, 1 << 25, 1 << 24
_SETUID, _SETGID, _CHARACTER, _STICKY, _IRREGULAR = 1 << 23, 1 << 22, 1 << 21, 1 << 20, 1 << 19
_KINDS = {
    0: EntryType.REGULAR,
    _DIRECTORY: EntryType.DIRECTORY,
    _SYMLINK: EntryType.SYMLINK,
    _DEVICE: EntryType.BLOCK,
    _DEVICE | _CHARACTER: EntryType.CHAR,
    _FIFO: EntryType.FIFO,
}
_KIND_BITS = _DIRECTORY | _SYMLINK | _DEVICE | _FIFO | _SOCKET | _CHARACTER | _IRREGULAR
_SECOND = 10**9  # ns. Docker's client cuts times in its tars to seconds, and the same files are to be the same image.
_SPECIAL = {_SETUID: 0o4000, _SETGID: 0o2000, _STICKY: 0o1000}


def kind_of(mode: int) -> EntryType | None:
    """Return the type that a Go mode stands for; None for sockets and the like, which no layer can hold."""
    return _KINDS.get(mode & _KIND_BITS)


def permissions_of(mode: int) -> int:
    """Return the permission bits of a Go mode, with setuid, setgid and sticky."""
    return mode & 0o777 | sum(bit for go_bit, bit in _SPECIAL.items() if mode & go_bit)


def go_mode(entry: Entry) -> int:
    """Return the Go mode of an entry."""
    bits = next(bits for bits, kind in _KINDS.items() if kind is entry.type)
    return bits | entry.mode & 0o777 | sum(go_bit for go_bit, bit in _SPECIAL.items() if entry.mode & bit)


@dataclass(slots=True)
class Incoming:
    """A file whose bytes are arriving in a region of the spool."""

    path: str
    offset: int
    room: int
    hasher: hashlib._Hash
    size: int = 0


class ContextTree(SpooledFiles):
    """The files. Owners read as 0:0. `sums` has the Docker sum of each regular file by path. Close it after use."""

    def __init__(self, temporary: Path, saved: Saved | None = None, limits: Limits | None = None) -> None:
        """Make an empty tree that spools into a nameless file in `temporary`, or behind what is `saved`.

        The tree closes the file. Files that are as they were saved need not be sent.
        """
        super().__init__(temporary, None if saved is None else saved.fd)
        self._saved = {} if saved is None else saved.rows
        self.rows: dict[bytes, Row] = {}
        self.sums: dict[str, str] = {}
        self._limits = limits or Limits()
        self._links: dict[str, str] = {}
        self._metadata = 0
        self._end = 0 if saved is None else saved.end

    def add(self, stat: Stat) -> bool:
        """Take one file of the listing. Return whether its bytes are to be asked for.

        Raise InvalidInput for a path that is no place in the tree, TooLarge past a limit.
        """
        kind, path = kind_of(stat.mode), stat.path
        self._check(path, stat)
        if kind is None:
            return False
        if kind is EntryType.REGULAR and stat.target:
            self._link(path, stat.target)
            return False
        entry = Entry(
            path,
            kind,
            0o777 if kind is EntryType.SYMLINK else permissions_of(stat.mode),
            mtime_ns=stat.mtime_ns // _SECOND * _SECOND,
            target=stat.target if kind is EntryType.SYMLINK else "",
            major=stat.major if kind.is_device else 0,
            minor=stat.minor if kind.is_device else 0,
        )
        is_file = kind is EntryType.REGULAR
        raw = os.fsencode(path)
        row = self._saved.get(raw) if is_file else None
        if row is not None and (row.size, row.mtime_ns, row.mode) == (stat.size, stat.mtime_ns, stat.mode):
            entry = _sized(entry, row.size, row.offset)
            self.sums[path] = row.sum
            self.rows[raw] = row
            is_file = False
        self._put(Node(entry, len(self._nodes)))
        return is_file

    def _check(self, path: str, stat: Stat) -> None:
        limits = self._limits
        self._metadata += len(path) + len(stat.target) + sum(len(name) + len(v) for name, v in stat.xattrs.items())
        if len(self._nodes) > limits.entries or self._metadata > limits.metadata_size:
            raise TooLarge(f"the build context has more than {limits.entries} files, or too long names")
        raw = os.fsencode(path)
        longest = max(map(len, raw.split(b"/")))
        if len(raw) > limits.path_length or longest > limits.name_length:
            raise TooLarge(f"a path in the build context is too long: {path[:80]!r}…")
        if not path or path.startswith("/") or "\0" in path or posixpath.normpath(path) != path:
            raise InvalidInput(f"the client sent a path that is no place in the build context: {path!r}", path=path)
        if path.partition("/")[0] == "..":
            raise InvalidInput(f"the client sent a path outside the build context: {path!r}", path=path)
        parent = self._nodes.get(path.rpartition("/")[0])  # the path is normal
        if parent is None or not parent.is_directory:
            raise InvalidInput(f"the client sent {path!r} before the directory that it is in", path=path)
        if path in self._nodes:
            raise InvalidInput(f"the client sent {path!r} twice", path=path)

    def _link(self, path: str, target: str) -> None:
        target = target.lstrip("/")
        target = self._links.get(target, target)
        original = self._nodes.get(target)
        if original is None or original.entry.type is not EntryType.REGULAR:
            raise InvalidInput(f"the client links {path!r} to {target!r}, which it has not sent", path=path)
        self._nodes[target] = replace(original, nlink=original.nlink + 1)
        self._put(replace(original, entry=replace(original.entry, path=path)))
        self._links[path] = target

    def _put(self, node: Node) -> None:
        self._nodes[node.path] = node
        parent, _, name = node.path.rpartition("/")
        self._names[parent].add(name)
        if node.is_directory:
            self._names[node.path] = set()

    def begin(self, stat: Stat) -> Incoming:
        """Make room for the bytes of a file that was added."""
        entry = _sized(self._nodes[stat.path].entry, stat.size)
        room = max(stat.size, 0)
        incoming = Incoming(stat.path, self._end, room, hashlib.sha256(sum_header(entry)))
        self._end += room
        self._limits.check_expanded(self._end)
        return incoming

    def write(self, incoming: Incoming, data: bytes) -> None:
        """Take bytes of a file. One that has grown since it was listed moves to a larger region. Raise TooLarge."""
        size = incoming.size + len(data)
        if size > incoming.room:
            offset, room = self._end, 2 * size
            self._end += room
            os.lseek(self._fd, offset, os.SEEK_SET)
            copy_range(self._fd, self._fd, incoming.offset, incoming.size)
            incoming.offset, incoming.room = offset, room
        self._limits.check_expanded(self._end)
        write_all_at(self._fd, data, incoming.offset + incoming.size)
        incoming.hasher.update(data)
        incoming.size = size

    def end(self, incoming: Incoming, stat: Stat) -> None:
        """Note that a file is whole."""
        node = self._nodes[incoming.path]
        self._nodes[incoming.path] = Node(_sized(node.entry, incoming.size, incoming.offset), node.ino, node.nlink)
        if incoming.size == stat.size:
            sum_ = self.sums[incoming.path] = incoming.hasher.hexdigest()
            self.rows[os.fsencode(stat.path)] = Row(stat.size, stat.mtime_ns, stat.mode, incoming.offset, sum_)

    def seal(self) -> None:
        """Note that all files are here: further names of a file now lead to its bytes."""
        for path, target in self._links.items():
            original = self._nodes[target]
            self._nodes[path] = replace(original, entry=replace(original.entry, path=path))
            if target in self.sums:
                self.sums[path] = self.sums[target]  # as for the members of a tar


def _sized(entry: Entry, size: int, offset: int = -1) -> Entry:
    """Return the entry of a file with another size. It runs for every file, and dataclasses.replace is much slower."""
    return Entry(entry.path, entry.type, entry.mode, size=size, mtime_ns=entry.mtime_ns, data_offset=offset)
