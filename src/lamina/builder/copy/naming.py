"""What identifies the files of a COPY or ADD: Docker's words for history, and the cache's own fingerprint.

The words alone would not do as a key: they follow symlinks instead of naming them, and say nothing of hard links.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from lamina.builder.copy.sources import Source
from lamina.builder.copy.tarsum import combined, followed
from lamina.builder.sums import Sums
from lamina.builder.tree import Node
from lamina.layers.entry import EntryType


def docker_name(sources: Sequence[Source], sums: Mapping[int, Sums]) -> str:
    """`file:…`, `dir:…`, or `multi:…` for several sources, as dockerd names them."""
    names = [_one(source, sums[id(source.tree)]) for source in sources]
    return names[0] if len(names) == 1 else combined("multi", names)


def _one(source: Source, sums: Sums) -> str:
    if not source.node.is_directory:
        prefix = "" if source.from_url else "file:"
        return prefix + sums.of(source.tree, source.node)
    found = [_inner(source, node, sums) for node in source.nodes if node.path]
    return combined("dir", sorted(found))


def _inner(source: Source, node: Node, sums: Sums) -> str:
    if node.implied:
        return node.path  # dockerd has no sum for what was not sent
    if node.entry.type is not EntryType.SYMLINK:
        return sums.of(source.tree, node)
    target = followed(source.tree, node)
    return node.path if target is None else sums.of(source.tree, target)


def fingerprint(sources: Iterable[Source], sums: Mapping[int, Sums]) -> str:
    """A hash of everything that reaches the image: names, kinds, modes, owners, link texts and contents."""
    hasher = hashlib.sha256()
    for source in sources:
        memory = sums[id(source.tree)]
        hasher.update(f"{source.name}\0{source.pivot}\0{source.from_url}\n".encode("utf-8", "surrogateescape"))
        start = len(source.node.path)
        for node in source.nodes:
            hasher.update(_line(node, node.path[start:], memory, source))
    return hasher.hexdigest()


def _line(node: Node, inside: str, memory: Sums, source: Source) -> bytes:
    entry = node.entry
    content = memory.of(source.tree, node) if entry.type is EntryType.REGULAR else ""
    attributes = "".join(f"{name}={value.hex()}," for name, value in sorted(entry.xattrs.items()))
    shared = f"{node.shared}" if node.shared is not None and node.stamp is None else str(node.shared is not None)
    text = (
        f"{inside}\0{entry.type.value}\0{entry.mode:o}\0{entry.uid}:{entry.gid}\0{entry.target}\0"
        f"{entry.major}:{entry.minor}\0{attributes}\0{shared}\0{content}\n"
    )
    return text.encode("utf-8", "surrogateescape")


def contents(sources: Iterable[Source]) -> Iterable[tuple[Source, Node]]:
    """All regular files of the sources: what has to be read."""
    for source in sources:
        for node in source.nodes:
            if node.entry.type is EntryType.REGULAR:
                yield source, node
