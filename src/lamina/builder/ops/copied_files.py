"""Which files a copy takes: the ones that its path names, less what its patterns leave out."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from lamina.builder.copy.sources import CopySource, without_excluded
from lamina.builder.graph.operations import Copy
from lamina.dockerfile.ignore import IgnoreMatcher, Verdict, parse_patterns
from lamina.dockerfile.position import Problem
from lamina.dockerfile.suggest import did_you_mean
from lamina.formats.matching import compile_match, has_wildcards
from lamina.layers.tree import Node, Tree, entry_at, find, resolve, walk


def copied_files(action: Copy, tree: Tree) -> list[CopySource]:
    """Return what the copy takes of `tree`, in order. Raise Problem for a path that leads to nothing."""
    for path in action.required:
        if find(tree, path) is None:
            raise _not_found(posixpath.join("/", path))
    names = _named(action, tree)
    if not names and not action.may_match_nothing:
        raise Problem(f"{posixpath.join('/', action.path)} not found", "Nothing matches it.")
    sources = [_source(action, tree, name) for name in names]
    patterns = parse_patterns(action.exclude)
    return without_excluded(sources, IgnoreMatcher(patterns)) if patterns else sources


def _named(action: Copy, tree: Tree) -> list[str]:
    """Return the paths that the action names, links in their directories followed."""
    path = posixpath.normpath(posixpath.join("/", action.path)).lstrip("/")
    if not action.wildcard or not has_wildcards(path):
        return [path]
    pattern = compile_match(path)
    return [node.path for node in walk(tree) if node.path and pattern.match(node.path)]


def _source(action: Copy, tree: Tree, name: str) -> CopySource:
    parent, _, last = name.rpartition("/")
    parent = resolve(lambda place: entry_at(tree, place), parent)
    path = f"{parent}/{last}" if parent else last
    node = find(tree, path) if action.follow else tree.lookup(path)
    if node is None:
        raise _not_found(f"/{name}", _why_missing(tree, path))
    nodes = tuple(walk(tree, node.path))
    if action.include and node.is_directory:
        matcher = IgnoreMatcher(parse_patterns(action.include))
        nodes = tuple(_included(nodes, matcher))
    return CopySource(name, node, tree, nodes)


def _not_found(path: str, advice: str | None = None) -> Problem:
    """Return the error for a file that is not there. Clients look for BuildKit's words, solver/llbsolver/ops."""
    return Problem(f'failed to calculate checksum of ref: "{path}": not found', advice, missing_source=path.lstrip("/"))


def _why_missing(tree: Tree, path: str) -> str | None:
    """Return a hint at a name beside it that is nearly the same."""
    parent, _, name = path.rpartition("/")
    directory = tree.lookup(parent)
    if directory is None or not directory.is_directory:
        return None
    return did_you_mean(name, [node.name for node in tree.children(parent)])


def _included(nodes: tuple[Node, ...], matcher: IgnoreMatcher) -> Iterator[Node]:
    """Yield the directory itself, what the patterns match, and the directories that this is in."""
    top = nodes[0]
    start = len(top.path) + 1 if top.path else 0
    verdicts: dict[str, Verdict] = {top.path: matcher.top}
    waiting: list[Node] = []  # directories that nothing has matched in yet
    yield top
    for node in nodes[1:]:
        verdict = matcher.match(node.path[start:], verdicts[node.entry.parent])
        waiting = [parent for parent in waiting if node.path.startswith(f"{parent.path}/")]
        if node.is_directory:
            verdicts[node.path] = verdict
        if verdict.ignored:
            yield from waiting
            waiting = []
            yield node
        elif node.is_directory:
            waiting.append(node)
