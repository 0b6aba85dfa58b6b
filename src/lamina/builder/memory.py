"""A tree of files whose bytes are at hand: here-documents, and what ADD downloaded."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from lamina.builder.context.archive import SpooledData, nameless_file
from lamina.builder.tree import Data, Node
from lamina.layers.entry import Entry, EntryType
from lamina.linux.writing import write_all


class MemoryTree:
    """Files by name, all in the root."""

    def __init__(self, files: Mapping[str, bytes], *, mode: int = 0o644, mtime_ns: int = 0) -> None:
        self._files = dict(files)
        self._nodes = {
            name: Node(Entry(name, EntryType.REGULAR, mode, size=len(content), mtime_ns=mtime_ns))
            for name, content in files.items()
        }

    def lookup(self, path: str) -> Node | None:
        return self._nodes.get(path) if path else Node(Entry("", EntryType.DIRECTORY, 0o755))

    def children(self, path: str) -> Iterator[Node]:
        return iter([self._nodes[name] for name in sorted(self._nodes)] if path == "" else [])

    def open(self, node: Node) -> Data:
        return io.BytesIO(self._files[node.path])


class DownloadTree:
    """One file that is written here and then read: the bytes lie in a nameless file in `folder`. Close it after use."""

    def __init__(self, folder: Path) -> None:
        self._fd = nameless_file(folder)
        self._node: Node | None = None
        self._size = 0

    def write(self, data: bytes, /) -> None:
        """Take more bytes."""
        write_all(self._fd, data)
        self._size += len(data)

    def finish(self, name: str, *, mode: int = 0o600, mtime_ns: int = 0) -> Node:
        """The bytes so far are the file `name`."""
        self._node = Node(Entry(name, EntryType.REGULAR, mode, size=self._size, mtime_ns=mtime_ns, data_offset=0))
        return self._node

    def lookup(self, path: str) -> Node | None:
        if path == "":
            return Node(Entry("", EntryType.DIRECTORY, 0o755))
        return self._node if self._node is not None and path == self._node.path else None

    def children(self, path: str) -> Iterator[Node]:
        return iter([self._node] if path == "" and self._node is not None else [])

    def open(self, node: Node) -> Data:
        return SpooledData(self._fd, 0, node.entry.size)

    def close(self) -> None:
        """Drop the bytes. A second call is fine."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
