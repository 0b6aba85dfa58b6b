"""The files of a result: one tree for a folder or a tar, with a folder for each platform where there are several.

Rule: moby/buildkit, exporter/local. Attestations that are not only inline become files beside the image's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lamina.builder.export.options import epoch_of, flag
from lamina.builder.export.result import PlatformImage, Result
from lamina.builder.export.statements import statement, subject
from lamina.errors import InvalidInput
from lamina.formats.digest import Digest
from lamina.formats.document import encode
from lamina.images.image import Image
from lamina.layers.entry import Entry, EntryType
from lamina.layers.tar.writer import TarWriter, Writable
from lamina.layers.tree import Content, MemoryTree, Node, Tree, walk
from lamina.layers.union import StackTree

_CHUNK = 1 << 20
_SECOND = 10**9


def files_of(image: Image) -> Tree:
    """Return all files of an image."""
    return StackTree(image.layers) if image.layers else MemoryTree()


def result_files(result: Result, attributes: Mapping[str, str]) -> Tree:
    """Return the files of a result as the attributes of `local` and `tar` want them. Raise InvalidInput."""
    split = flag(attributes, "platform-split", result.several)
    prefix = attributes.get("attestation-prefix", "")
    epochs = [epoch_of(attributes, item.epoch) for item in result.images]
    parts: list[_Part] = []
    for item, epoch in zip(result.images, epochs, strict=True):
        tree = files_of(item.image)
        folder = item.id.replace("/", "_") if split else ""
        mark = f".{item.id.replace('/', '_')}" if result.several and not split else ""
        mtime_ns = None if epoch is None else epoch * _SECOND
        parts.append(_Part(folder, tree, mtime_ns))
        statements = _statements(item, tree, prefix, mark)
        if statements:
            parts.append(_Part(folder, MemoryTree(statements), mtime_ns))
    if len(parts) == 1 and not split and parts[0].mtime_ns is None:
        return parts[0].tree
    _check_names(parts)
    return _Parts(parts)


def _statements(item: PlatformImage, tree: Tree, prefix: str, mark: str) -> dict[str, bytes]:
    attestations = [each for each in item.attestations if not each.inline_only]
    if not attestations:
        return {}
    subjects = [subject(node.path, _digest(tree, node)) for node in walk(tree) if node.entry.type is EntryType.REGULAR]
    named = {}
    for each in attestations:
        stem, dot, ending = each.file_name.rpartition(".")
        named[f"{prefix}{stem}{mark}{dot}{ending}"] = encode(statement(each, subjects))
    return named


def _digest(tree: Tree, node: Node) -> Digest:
    hasher = hashlib.sha256()
    with tree.read(node) as content:
        while piece := content.read(_CHUNK):
            hasher.update(piece)
    return Digest.from_hasher(hasher)


@dataclass(frozen=True, slots=True)
class _Part:
    folder: str
    tree: Tree
    mtime_ns: int | None = None  # of all its files, where there is an epoch


def _check_names(parts: Sequence[_Part]) -> None:
    """Raise InvalidInput when platforms that share a folder have files of one name. Directories may meet."""
    together = [part.tree for part in parts if not part.folder]
    names: set[str] = set()
    for tree in together if len(together) > 1 else ():
        files = {node.path for node in walk(tree) if not node.is_directory}
        if both := names & files:
            raise InvalidInput(
                f"cannot overwrite {min(both)} from several platforms", advice="Leave platform-split at true."
            )
        names |= files


class _Parts:
    """Several trees as one: in folders of the root, or over each other in the root itself."""

    def __init__(self, parts: Sequence[_Part]) -> None:
        self._parts = parts

    def lookup(self, path: str) -> Node | None:
        if not path or path in {part.folder for part in self._parts}:
            return self._folder(path)
        for number, part, inside in self._at(path):
            if (node := part.tree.lookup(inside)) is not None:
                return self._shown(number, part, node)
        return None

    def children(self, path: str) -> Iterator[Node]:
        nodes: dict[str, Node] = {}
        if not path:
            for folder in {part.folder for part in self._parts} - {""}:
                nodes[folder] = self._folder(folder)
        for number, part, inside in self._at(path):
            for node in part.tree.children(inside):
                nodes.setdefault(node.name, self._shown(number, part, node))
        yield from (nodes[name] for name in sorted(nodes, key=lambda name: name.encode("utf-8", "surrogateescape")))

    def read(self, node: Node) -> Content:
        for _, part, inside in self._at(node.path):
            if (own := part.tree.lookup(inside)) is not None and not own.is_directory:
                return part.tree.read(own)
        raise InvalidInput(f"{node.path} is no file of this result")

    def _folder(self, path: str) -> Node:
        """Return the root, or the folder of a platform."""
        times = [part.mtime_ns or 0 for part in self._parts if part.folder.startswith(path)]
        return Node(Entry(path, EntryType.DIRECTORY, 0o755, mtime_ns=max(times, default=0)))

    def _at(self, path: str) -> Iterator[tuple[int, _Part, str]]:
        """Yield the parts that may have `path`, each with its number and its own name for it."""
        for number, part in enumerate(self._parts):
            if not part.folder:
                yield number, part, path
            elif path == part.folder or path.startswith(f"{part.folder}/"):
                yield number, part, path[len(part.folder) + 1 :]

    def _shown(self, number: int, part: _Part, node: Node) -> Node:
        path = f"{part.folder}/{node.path}" if part.folder else node.path
        mtime_ns = node.entry.mtime_ns if part.mtime_ns is None else part.mtime_ns
        entry = replace(node.entry, path=path, mtime_ns=mtime_ns)
        return replace(node, entry=entry, ino=node.ino * len(self._parts) + number)


def write_tar(tree: Tree, sink: Writable) -> None:
    """Write the files as a tar. Files with several names become hard links, and holes are written out."""
    tar = TarWriter(sink)
    names: dict[tuple[int, int], str] = {}
    for node in walk(tree):
        if not node.path:
            continue
        first = names.setdefault(node.shared, node.path) if node.shared is not None else node.path
        entry = replace(node.entry, sparse=None, data_offset=-1)
        if first != node.path:
            tar.add(replace(entry, type=EntryType.HARDLINK, size=0, target=first))
        elif entry.type is EntryType.REGULAR:
            with tree.read(node) as content:
                tar.add(entry, content)
        else:
            tar.add(entry)
    tar.close()
