"""What a series of entries amounts to: the tree that unpacking them one after the other would leave.

Later entries replace earlier ones; a directory over a directory keeps what is in it; parents nobody described are
implied; symlinks on the way to an entry are followed inside the layer, as an unpacker in a chroot would. Deletions
become what overlayfs wants: a character device 0:0, and a mark on directories that hide what lies below them
(Documentation/filesystems/overlayfs.rst).
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from lamina.errors import InvalidInput
from lamina.layers.entry import Entry, EntryType, Mark, classify
from lamina.layers.index.chunks import FileMap
from lamina.layers.index.format import NAME_MAX

_MAX_SYMLINKS = 40
_DIRECTORY = EntryType.DIRECTORY


class Inode:
    """One file of the tree. The second half is filled in while the index is laid out."""

    __slots__ = (
        "body",
        "children",
        "device",
        "entry",
        "file",
        "hiding",
        "implied",
        "inline",
        "links",
        "nid",
        "opaque",
        "rows",
        "size",
        "start",
        "text",
    )

    def __init__(self, entry: Entry, device: int = 0, *, implied: bool = False, opaque: bool = False) -> None:
        self.entry = entry
        self.device = device
        self.implied = implied
        self.opaque = opaque
        self.hiding = False
        """Whether it has, or had, whiteouts in it."""
        self.children: dict[bytes, Inode] | None = {} if entry.type is _DIRECTORY else None

        self.links = 0
        self.nid = -1
        self.body = b""
        """The packed extended attributes."""
        self.size = 0
        """Bytes of contents: of the file, of the directory's entries, of the link's text."""
        self.rows: list[list[tuple[bytes, Inode]]] | None = None
        """DIRECTORY: its entries, cut into blocks."""
        self.text = b""
        """SYMLINK: where it points."""
        self.file: FileMap | None = None
        """REGULAR with contents: where they lie."""
        self.inline = False
        """Whether the contents stand right behind the inode; else they begin at data block `start`."""
        self.start = 0


class Changeset:
    """Entries in, a tree out. `add` takes them in the order of the archive."""

    def __init__(self) -> None:
        self.root = Inode(Entry("", _DIRECTORY, mode=0o755), implied=True)
        self.whiteout = Inode(Entry("", EntryType.CHAR, mode=0))
        self._known: dict[str, Inode] = {"": self.root}

    def add(self, entry: Entry, device: int, file: FileMap | None = None) -> None:
        """Put one entry in place; `device` is the number of the tar that holds its data (the first is 1), `file` where
        that is when it is known already.

        Raise InvalidInput for what no unpacker could do: a hard link to nothing or to a directory, a file as parent,
        a name longer than 255 bytes or with a NUL, a root that is no directory.
        """
        path = entry.path
        mark, about = classify(path) if ".wh." in path else (Mark.NONE, path)
        if mark is Mark.NONE:
            self._place(entry, device, file)
        elif mark is Mark.WHITEOUT:
            self._hide(about)
        elif mark is Mark.OPAQUE:
            self._directory(about).opaque = True

    def _place(self, entry: Entry, device: int, file: FileMap | None) -> None:
        head, _, name = entry.path.rpartition("/")
        if not name:
            self._describe_root(entry)
            return
        children = self._children(head)
        key = _encoded(name, entry.path)
        before = children.get(key)
        if entry.type is EntryType.HARDLINK:
            inode = self._linked(entry)
        elif before is None:
            inode = Inode(entry, device)
        elif before.children is not None and entry.type is _DIRECTORY:
            before.entry = entry
            before.implied = False
            return
        else:
            inode = Inode(entry, device, opaque=entry.type is _DIRECTORY)
        if before is not None and (before.children is not None or before.entry.type is EntryType.SYMLINK):
            self._known = {"": self.root}
        children[key] = inode
        if file is not None:
            inode.file = file
        if entry.type is EntryType.CHAR and entry.major == entry.minor == 0:
            self._directory(head).hiding = True

    def _describe_root(self, entry: Entry) -> None:
        if entry.type is not _DIRECTORY:
            raise InvalidInput(f"the root of the layer is a {entry.type.value}, not a directory")
        self.root.entry = entry
        self.root.implied = False

    def _hide(self, path: str) -> None:
        """Hide a path of the layers below; what this layer itself has there stays."""
        head, _, name = path.rpartition("/")
        children = self._children(head)
        here = children.setdefault(_encoded(name, path), self.whiteout)
        self._directory(head).hiding = True
        if here.children is not None:
            here.opaque = True

    def _linked(self, entry: Entry) -> Inode:
        head, _, name = entry.target.rpartition("/")
        inode = self._children(head, entry.path).get(os.fsencode(name))
        if inode is None or inode is self.whiteout or inode.children is not None:
            what = "a directory" if inode is not None and inode.children is not None else "no file"
            raise InvalidInput(
                f"the hard link {entry.path!r} points at {entry.target!r}, which is {what} in this layer",
                path=entry.path,
                target=entry.target,
            )
        return inode

    def _children(self, path: str, wanted_by: str = "") -> dict[bytes, Inode]:
        children = self._directory(path, wanted_by).children
        assert children is not None
        return children

    def _directory(self, path: str, wanted_by: str = "") -> Inode:
        inode = self._known.get(path)
        if inode is None:
            inode = self._known[path] = self._reach(path, wanted_by)
        return inode

    def _reach(self, path: str, wanted_by: str) -> Inode:
        """Walk to a directory from the root, making what is missing and following symlinks inside the layer."""
        stack = [self.root]
        todo = path.split("/")[::-1]
        symlinks = 0
        while todo:
            name = todo.pop()
            if name == "..":
                stack[1:] = stack[1:-1]
            elif name not in ("", "."):
                inode = self._step(stack[-1], name, wanted_by or path)
                if inode.children is not None:
                    stack.append(inode)
                    continue
                symlinks += 1
                if symlinks > _MAX_SYMLINKS:
                    raise InvalidInput(f"too many symlinks on the way to {path!r}", path=path)
                target = inode.entry.target
                del stack[1 if target.startswith("/") else len(stack) :]
                todo.extend(target.split("/")[::-1])
        return stack[-1]

    def _step(self, directory: Inode, name: str, path: str) -> Inode:
        """Return the directory or symlink `name` in `directory`; an implied directory where there is nothing."""
        assert directory.children is not None
        key = _encoded(name, path)
        inode = directory.children.get(key)
        if inode is None or inode is self.whiteout:
            implied = Inode(Entry(name, _DIRECTORY, mode=0o755), implied=True, opaque=inode is not None)
            directory.children[key] = implied
            return implied
        if inode.children is None and inode.entry.type is not EntryType.SYMLINK:
            raise InvalidInput(f"{name!r} on the way to {path!r} is a file, not a directory", path=path)
        return inode


def _encoded(name: str, path: str) -> bytes:
    encoded = os.fsencode(name)
    if len(encoded) > NAME_MAX:
        raise InvalidInput(f"a name in {path[:80]!r} is longer than {NAME_MAX} bytes", path=path)
    if b"\0" in encoded:
        raise InvalidInput(f"the path {path[:80]!r} holds a NUL byte", path=path)
    return encoded


def walk_directories(root: Inode) -> Iterator[tuple[Inode, Inode]]:
    """Yield every directory and its parent (the root is its own), parents first and each once."""
    queue = [(root, root)]
    for directory, parent in queue:
        yield directory, parent
        assert directory.children is not None
        queue.extend((child, directory) for child in directory.children.values() if child.children is not None)
