"""The sources of COPY and ADD: from the words of the instruction to files of a tree.

Rule: moby's classic builder, builder/dockerfile/copy.go: a leading "/" or "./" is dropped, wildcards match whole
paths below the root, a symlink is followed inside the tree and keeps its own name.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from lamina.builder.context.ignored import IgnoringTree
from lamina.builder.tree import Node, Tree, find, walk
from lamina.dockerfile.position import Problem
from lamina.dockerfile.suggest import did_you_mean
from lamina.errors import InvalidInput
from lamina.formats.globs import compile_match, has_wildcards
from lamina.layers.entry import EntryType


@dataclass(frozen=True, slots=True)
class Source:
    """One source: `name` is its path as it was meant (a symlink's own), `node` the file it leads to.

    `nodes` is `node` and everything below it, read once.
    """

    name: str
    node: Node
    tree: Tree
    nodes: tuple[Node, ...]
    pivot: str = ""  # --parents: the part of the path that is not repeated at the destination
    from_url: bool = False


def local_sources(tree: Tree, words: tuple[str, ...], *, context: bool, parents: bool = False) -> list[Source]:
    """All files that `words` name, in order. `context` tells whether `tree` is the build context, for messages.

    With `parents` each source knows which part of its path is repeated at the destination: all of it, or what stands
    behind `/./`. Raises Problem for a word that names nothing and, together, for words that match nothing.
    """
    named = [(word, source) for word in words for source in _sources(tree, word, context)]
    found = [_pivoted(source, word) if parents else source for word, source in named]
    if not found:
        raise Problem("no source files were specified", _nothing_matches(words))
    return found


def _pivoted(source: Source, word: str) -> Source:
    head, found, _ = word.rpartition("/./")
    depth = len([part for part in relative(head).split("/") if part]) if found and head not in ("", ".") else 0
    return replace(source, pivot="/".join(source.name.split("/")[depth:]))


def _nothing_matches(words: tuple[str, ...]) -> str:
    return f"Nothing matches {' '.join(words)}; look at the names, and at .dockerignore."


def relative(word: str) -> str:
    """A source as a path below the root of its tree. Raises Problem for one that leads above it."""
    path = word.removeprefix("/")
    path = path.removeprefix("./")
    cleaned = posixpath.normpath(path) if path else "."
    if cleaned == ".." or cleaned.startswith("../"):
        raise Problem(
            f"forbidden path outside the build context: {word} ()",
            "Sources are looked up below the context; move the file there or build from a higher directory.",
        )
    return "" if cleaned == "." else cleaned.lstrip("/")


def _sources(tree: Tree, word: str, context: bool) -> Iterator[Source]:
    if has_wildcards(word):
        pattern = _pattern(word)
        root = tree.lookup("")
        for node in walk(tree, root) if root is not None else ():
            if node.path and pattern.match(node.path):
                yield _source(tree, node.path, context)
    else:
        yield _source(tree, relative(word), context)


def _pattern(word: str) -> re.Pattern[str]:
    try:
        return compile_match(word.removeprefix("/").removeprefix("./").replace("/./", "/"))
    except InvalidInput as error:
        raise Problem(error.message, error.advice) from None


def _source(tree: Tree, path: str, context: bool) -> Source:
    node = find(tree, path)
    if node is None:
        where = "file not found in build context or excluded by .dockerignore: " if context else ""
        raise Problem(f"{where}stat {path}: file does not exist", _why_missing(tree, path))
    return Source(path, node, tree, tuple(walk(tree, node)))


def _why_missing(tree: Tree, path: str) -> str | None:
    if isinstance(tree, IgnoringTree) and (why := tree.reason(path)):
        return f"{why}."
    link = tree.lookup(path)
    if link is not None and link.entry.type is EntryType.SYMLINK:
        return f"It is a link to {link.entry.target}, which is not there."
    parent = tree.lookup(posixpath.dirname(path))
    if parent is None or not parent.is_directory:
        return None
    return did_you_mean(posixpath.basename(path), [node.entry.name for node in tree.children(parent.path)])
