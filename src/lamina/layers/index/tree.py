"""LayerTree: one layer read in place from its index and its tar, without a mount and without any privilege."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from lamina.errors import InvalidInput
from lamina.layers.entry import Entry, EntryType, type_of
from lamina.layers.index import format as erofs
from lamina.layers.index.contents import ContentStream, Extent, FileLayout
from lamina.layers.index.image import IndexImage, RawInode
from lamina.layers.index.xattrs import unescape
from lamina.layers.tree import Node

_MAX_CACHED_NAMES = 200_000
_MAX_DIRECTORIES = 10_000
_BUFFER = 1 << 17


class LayerTree:
    """A Tree over one layer, with its whiteouts and opaque marks as they are. A context manager.

    Safe against any index: a damaged one raises Corrupt, never loops and never reads outside the two files. Safe to
    share between threads for reading; `close` is for when nobody reads any more.
    """

    def __init__(self, image: IndexImage, tars: Sequence[Path]) -> None:
        self._image = image
        self._tars = tars
        self._names: dict[int, dict[bytes, int]] = {}
        self._cached = 0
        self._directories: dict[str, tuple[RawInode, Node]] = {}

    @classmethod
    def open(cls, index: Path, tar: Path | Sequence[Path]) -> LayerTree:
        """Return the tree of `index`, whose contents lie in `tar` (or in these tars). Raise Corrupt, OSError."""
        tars = [tar] if isinstance(tar, Path) else list(tar)
        image = IndexImage(index)
        if len(image.devices) != len(tars):
            image.close()
            image.damaged(f"it names {len(image.devices)} tars, not {len(tars)}")
        return cls(image, tars)

    def close(self) -> None:
        """Let the index go. Streams over its contents stay usable only where those lie in a tar. Idempotent."""
        self._names.clear()
        self._directories.clear()
        self._image.close()

    def __enter__(self) -> LayerTree:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    @property
    def has_implied(self) -> bool:
        """Return whether any directory below the root is implied (see Node)."""
        return self._image.has_implied

    @property
    def in_memory(self) -> bool:
        """Return whether the index was read as a whole, so that the tree holds no file open."""
        return self._image.in_memory

    def lookup(self, path: str) -> Node | None:
        # Deep stacks ask each of their layers for the same few directories, so those are kept at hand.
        cached = self._directories.get(path)
        if cached is not None:
            return cached[1]
        parent, _, name = path.rpartition("/")
        above = self._directories.get(parent)
        if above is not None and name and os.fsencode(name) not in self._entries(above[0]):
            return None
        parts = _parts(path)
        inode = self._walk(parts)
        if inode is None:
            return None
        clean = "/".join(parts)
        return self._keep(inode, self._node(clean, inode))

    def _keep(self, inode: RawInode, node: Node) -> Node:
        if node.is_directory:
            if len(self._directories) >= _MAX_DIRECTORIES:
                self._directories = {}
            self._directories[node.entry.path] = (inode, node)
        return node

    def children(self, path: str) -> Iterator[Node]:
        # Every directory must lead back here, so that walking down always ends.
        parts = _parts(path)
        directory = self._walk(parts)
        if directory is None or not stat.S_ISDIR(directory.mode):
            return
        prefix = "".join(f"{part}/" for part in parts)
        below: set[int] = set()
        for name, nid in sorted(self._entries(directory).items()):
            if name in (b".", b".."):
                continue
            inode = self._image.inode(nid)
            if stat.S_ISDIR(inode.mode):
                self._check_child(directory, inode, below)
            yield self._keep(inode, self._node(prefix + os.fsdecode(name), inode))

    def read(self, node: Node) -> BinaryIO:
        inode = self._image.inode(node.ino)
        if not stat.S_ISREG(inode.mode):
            raise InvalidInput(f"{node.entry.path!r} is a {node.entry.type.value}, not a regular file")
        stream = ContentStream(FileLayout(self._image, inode), self._open_tar)
        return io.BufferedReader(stream, _BUFFER)

    def chunks(self, node: Node) -> tuple[int, list[Extent]]:
        """Return the power of two by which a REGULAR node with contents is cut, and where each of the pieces lies."""
        layout = FileLayout(self._image, self._image.inode(node.ino))
        return layout.bits, [layout.extent(position) for position in range(0, layout.size, 1 << layout.bits)]

    def extents(self, node: Node) -> Iterator[Extent]:
        """Yield where the bytes of a REGULAR node lie, holes included, from its beginning to its end."""
        layout = FileLayout(self._image, self._image.inode(node.ino))
        position = 0
        while position < layout.size:
            extent = layout.extent(position)
            yield extent
            position += extent.length

    def _open_tar(self, number: int) -> int:
        return os.open(self._tars[number - 1], os.O_RDONLY | os.O_CLOEXEC)

    def _check_child(self, directory: RawInode, child: RawInode, below: set[int]) -> None:
        if child.nid in below or child.nid == self._image.root or self._entries(child).get(b"..") != directory.nid:
            self._image.damaged(f"directory {child.nid} has more than one parent")
        below.add(child.nid)

    def _walk(self, parts: Sequence[str]) -> RawInode | None:
        inode, rest = self._nearest(parts)
        for part in rest:
            if not stat.S_ISDIR(inode.mode) or part in (".", ".."):
                return None
            nid = self._entries(inode).get(os.fsencode(part))
            if nid is None:
                return None
            inode = self._image.inode(nid)
        return inode

    def _nearest(self, parts: Sequence[str]) -> tuple[RawInode, Sequence[str]]:
        """Return where to begin, and what is left to go: a tree walked in its order is never walked from its root."""
        for count in (len(parts), len(parts) - 1):
            inode = self._directories.get("/".join(parts[:count])) if count > 0 else None
            if inode is not None:
                return inode[0], parts[count:]
        root = self._image.inode(self._image.root)
        if not stat.S_ISDIR(root.mode):
            self._image.damaged("its root is not a directory")
        return root, parts

    def _entries(self, directory: RawInode) -> dict[bytes, int]:
        entries = self._names.get(directory.nid)
        if entries is None:
            if self._cached > _MAX_CACHED_NAMES:
                self._names, self._cached = {}, 0
            entries = self._names[directory.nid] = self._image.entries(directory)
            self._cached += len(entries)
        return entries

    def _node(self, path: str, inode: RawInode) -> Node:
        kind = type_of(inode.mode)
        if kind is None:
            self._image.damaged(f"inode {inode.nid} is of no known type")
        xattrs = self._image.xattrs(inode)
        major, minor = erofs.decode_device(inode.union) if kind.is_device else (0, 0)
        entry = Entry(
            path,
            kind,
            mode=inode.mode & 0o7777,
            uid=inode.uid,
            gid=inode.gid,
            size=inode.size if kind is EntryType.REGULAR else 0,
            mtime_ns=inode.mtime_ns,
            target=self._target(inode) if kind is EntryType.SYMLINK else "",
            major=major,
            minor=minor,
            xattrs={own: value for name, value in xattrs.items() if (own := unescape(name)) is not None},
        )
        opaque = xattrs.get(erofs.OPAQUE_XATTR) == b"y"
        return Node(entry, inode.nid, inode.nlink, opaque=opaque, implied=inode.implied)

    def _target(self, inode: RawInode) -> str:
        if inode.size > erofs.TARGET_MAX:
            self._image.damaged(f"link {inode.nid} is longer than a path can be")
        return os.fsdecode(b"".join(self._image.contents(inode)))


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]
