"""What COPY and ADD name: words and wildcards to files of a tree, and the hashes that identify these files.

Rule: moby's classic builder, builder/dockerfile/copy.go: a leading "/" or "./" is dropped, wildcards match whole
paths below the root, a symlink is followed inside the tree and keeps its own name. Docker's words for history would
not do as a cache key: they follow symlinks instead of naming them, and say nothing of hard links.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lamina.builder.copy.missing import MissingSource
from lamina.builder.file_sums import Sums, combined, followed
from lamina.dockerfile.ignore import IgnoreMatcher
from lamina.dockerfile.pathpattern import Predicate, compile_path
from lamina.dockerfile.position import Problem
from lamina.errors import InvalidInput
from lamina.formats.matching import compile_match, has_wildcards
from lamina.layers.entry import Entry, EntryType
from lamina.layers.tree import Node, Tree, find, walk


@dataclass(frozen=True, slots=True)
class CopySource:
    """One source: `name` is its path as it was meant (a symlink's own), `node` the file it leads to.

    `nodes` is `node` and everything below it, read once.
    """

    name: str
    node: Node
    tree: Tree
    nodes: tuple[Node, ...]
    pivot: str = ""  # --parents: the part of the path that is not repeated at the destination
    from_url: bool = False


def local_sources(
    tree: Tree, words: tuple[str, ...], missing: MissingSource, *, context: bool, parents: bool = False
) -> list[CopySource]:
    """Return all files that `words` name, in order.

    `context` tells whether `tree` is the build context, and `missing` explains a file that is not there. With
    `parents` each source knows which part of its path is repeated at the destination: all of it, or what stands behind
    the first `/./`, and `**` stands for any number of folders. As in BuildKit, wildcards may match nothing. Raise
    Problem for a word without them that names nothing.
    """
    compiled = compile_path if parents else _compile_match
    named = [(word, source) for word in words for source in _sources(tree, word, missing, context, compiled)]
    return [_pivoted(source, word) if parents else source for word, source in named]


def _pivoted(source: CopySource, word: str) -> CopySource:
    head, marker, _ = word.partition("/./")
    depth = len([part for part in relative(head).split("/") if part]) if marker and head not in ("", ".") else 0
    return replace(source, pivot="/".join(source.name.split("/")[depth:]))


def relative(word: str) -> str:
    """Return a source as a path below the root of its tree. Raise Problem for a path that leads above the root."""
    path = word.removeprefix("/")
    path = path.removeprefix("./")
    cleaned = posixpath.normpath(path) if path else "."
    if cleaned == ".." or cleaned.startswith("../"):
        raise Problem(
            f"forbidden path outside the build context: {word} ()",
            "Sources are looked up below the context; move the file there or build from a higher directory.",
        )
    return "" if cleaned == "." else cleaned.lstrip("/")


def _sources(
    tree: Tree, word: str, missing: MissingSource, context: bool, compiled: Callable[[str], Predicate]
) -> Iterator[CopySource]:
    if has_wildcards(word):
        matches = _pattern(word, compiled)
        for node in walk(tree):
            if node.path and matches(node.path):
                yield source_at(tree, node.path, missing, context=context)
    else:
        yield source_at(tree, relative(word), missing, context=context)


def _pattern(word: str, compiled: Callable[[str], Predicate]) -> Predicate:
    try:
        return compiled(word.removeprefix("/").removeprefix("./").replace("/./", "/"))
    except InvalidInput as error:
        raise Problem(error.message, error.advice) from None


def _compile_match(pattern: str) -> Predicate:
    expression = compile_match(pattern)
    return lambda path: expression.match(path) is not None


def source_at(tree: Tree, path: str, missing: MissingSource, *, context: bool) -> CopySource:
    """Return the source at a path. Raise Problem when there is none; `context` is as for `local_sources`."""
    node = find(tree, path)
    if node is None:
        where = "file not found in build context or excluded by .dockerignore: " if context else ""
        raise missing.problem(f"{where}stat {path}: file does not exist", tree, path)
    return CopySource(path, node, tree, tuple(walk(tree, node.path)))


def without_excluded(sources: Iterable[CopySource], exclude: IgnoreMatcher) -> list[CopySource]:
    """Return the sources without what --exclude names. A directory stays when a file in it does."""
    left: list[CopySource] = []
    for source in sources:
        if source.node.is_directory:
            left.append(replace(source, nodes=(source.node, *_below(source, exclude))))
        elif source.pivot or not exclude.ignores(posixpath.basename(source.name)).ignored:
            left.append(source)
    return left


def _below(source: CopySource, exclude: IgnoreMatcher) -> Iterator[Node]:
    start = len(source.node.path) + 1 if source.node.path else 0
    waiting: list[Node] = []
    for node in source.nodes[1:]:
        waiting = [parent for parent in waiting if node.path.startswith(f"{parent.path}/")]
        if exclude.ignores(node.path[start:]).ignored:
            if node.is_directory:
                waiting.append(node)
            continue
        yield from waiting
        waiting = []
        yield node


def docker_name(sources: Sequence[CopySource], sums: Mapping[int, Sums]) -> str:
    """Return the name that dockerd gives the sources: `file:…`, `dir:…`, or `multi:…` for several."""
    names = [_one(source, sums[id(source.tree)]) for source in sources]
    return names[0] if len(names) == 1 else combined("multi", names)


def _one(source: CopySource, sums: Sums) -> str:
    if not source.node.is_directory:
        prefix = "" if source.from_url else "file:"
        return prefix + sums.of(source.tree, source.node)
    parts = [_inner(source, node, sums) for node in source.nodes if node.path]
    return combined("dir", sorted(parts))


def _inner(source: CopySource, node: Node, sums: Sums) -> str:
    if node.implied:
        return node.path  # dockerd has no sum for what was not sent
    if node.entry.type is not EntryType.SYMLINK:
        return sums.of(source.tree, node)
    target = followed(source.tree, node)
    return node.path if target is None else sums.of(source.tree, target)


def fingerprint(sources: Iterable[CopySource], sums: Mapping[int, Sums]) -> str:
    """Return a hash of everything that reaches the image: names, kinds, modes, owners, link texts and contents."""
    hasher = hashlib.sha256()
    first_names: dict[tuple[int, object], str] = {}  # of files with several names, which become hard links
    for number, source in enumerate(sources):
        memory = sums[id(source.tree)]
        hasher.update(f"{source.name}\0{source.pivot}\0{source.from_url}\n".encode("utf-8", "surrogateescape"))
        start = len(source.node.path)
        for node in source.nodes:
            inside = node.path[start:]
            content = memory.of(source.tree, node) if node.entry.type is EntryType.REGULAR else ""
            linked = ""
            if node.shared is not None:
                linked = first_names.setdefault((id(source.tree), node.shared), f"{number}:{inside}")
            hasher.update(_line(node.entry, inside, linked, content))
    return hasher.hexdigest()


def _line(entry: Entry, inside: str, linked: str, content: str) -> bytes:
    attributes = "".join(f"{name}={value.hex()}," for name, value in sorted(entry.xattrs.items()))
    text = (
        f"{inside}\0{entry.type.value}\0{entry.mode:o}\0{entry.uid}:{entry.gid}\0{entry.target}\0"
        f"{entry.major}:{entry.minor}\0{attributes}\0{linked}\0{content}\n"
    )
    return text.encode("utf-8", "surrogateescape")


def contents(sources: Iterable[CopySource]) -> Iterable[tuple[CopySource, Node]]:
    """Yield all regular files of the sources: the files that have to be read."""
    for source in sources:
        for node in source.nodes:
            if node.entry.type is EntryType.REGULAR:
                yield source, node
