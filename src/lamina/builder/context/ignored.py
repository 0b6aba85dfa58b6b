"""A context without what `.dockerignore` names.

Rule: as Docker's client sends it: an ignored directory is still walked when some `!` line may bring back what is in it,
and then stands there with mode 0755 only, because the client never sends it itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lamina.builder.tree import Data, Node, Tree
from lamina.dockerfile.ignore import IgnoreMatcher, Verdict


class IgnoringTree:
    """`tree` through an IgnoreMatcher. The root is always there."""

    def __init__(self, tree: Tree, matcher: IgnoreMatcher) -> None:
        self._tree = tree
        self._matcher = matcher
        self._verdicts: dict[str, Verdict] = {"": matcher.top}

    def _verdict(self, path: str) -> Verdict:
        known = self._verdicts.get(path)
        if known is None:
            known = self._matcher.match(path, self._verdict(path.rpartition("/")[0]))
        return known

    def _shown(self, node: Node) -> Node | None:
        verdict = self._verdict(node.path)
        if node.is_directory:
            self._verdicts[node.path] = verdict
        if not verdict.ignored:
            return node
        if not (node.is_directory and self._matcher.brings_back and any(self._kept(node))):
            return None
        return replace(node, entry=replace(node.entry, mode=0o755), implied=True)

    def _kept(self, directory: Node) -> Iterator[bool]:
        for child in self._tree.children(directory.path):
            if self._shown(child) is not None:
                yield True

    def lookup(self, path: str) -> Node | None:
        node = self._tree.lookup(path)
        return node if node is None or path == "" else self._shown(node)

    def children(self, path: str) -> Iterator[Node]:
        for child in self._tree.children(path):
            shown = self._shown(child)
            if shown is not None:
                yield shown

    def open(self, node: Node) -> Data:
        return self._tree.open(node)

    def reason(self, path: str) -> str | None:
        """Which line ignores `path`, for messages; None when it is not ignored."""
        verdict = self._matcher.ignores(path)
        if not verdict.ignored or verdict.pattern is None:
            return None
        return f'.dockerignore line {verdict.pattern.line} ("{verdict.pattern}") excludes it'
