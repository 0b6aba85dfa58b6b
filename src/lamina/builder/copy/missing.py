"""Why a source of COPY or ADD is not there: where it was looked for, what hides it, and what was probably meant."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from itertools import islice

from lamina.dockerfile.ignore import IgnoreMatcher
from lamina.dockerfile.position import Problem
from lamina.dockerfile.suggest import nearest
from lamina.layers.entry import EntryType
from lamina.layers.tree import Tree, walk

_SEARCHED = 20_000  # files that are looked through for one of the same name


@dataclass(frozen=True, slots=True)
class MissingSource:
    """Explains missing files. `root` names the folder of a context, and `ignored` tells what is left out of it."""

    root: str = ""
    ignored: IgnoreMatcher | None = None

    def problem(self, message: str, tree: Tree, path: str) -> Problem:
        """Return the problem of a path that is not in `tree`.

        Its facts are `path` and `missing_source` with it, `context` with the context's folder, `ignore_line` and
        `ignore_pattern` of the line that hides the path, and `near` with the path that was probably meant; each only
        where it is known.
        """
        facts: dict[str, object] = {"path": path, "missing_source": path}
        reasons = []
        if self.root:
            facts["context"] = self.root
            reasons.append(f"It was looked for in {self.root}.")
        verdict = self.ignored.ignores(path) if self.ignored and path else None
        pattern = verdict.pattern if verdict and verdict.ignored else None
        link = tree.lookup(path)
        if pattern is not None:
            facts |= {"ignore_line": pattern.line, "ignore_pattern": str(pattern)}
            reasons.append(f'.dockerignore line {pattern.line} ("{pattern}") excludes it.')
        elif link is not None and link.entry.type is EntryType.SYMLINK:
            reasons.append(f"It is a link to {link.entry.target}, which is not there.")
        elif near := near_path(tree, path) or _elsewhere(tree, path):
            facts["near"] = near
            reasons.append(f"Did you mean {near}?")
        return Problem(message, " ".join(reasons) or None, **facts)


def near_path(tree: Tree, path: str) -> str:
    """Return a path that is there and differs from `path` only by near misses in its names; empty for none."""
    place = ""
    for name in path.split("/"):
        names = [node.entry.name for node in tree.children(place)]
        meant = name if name in names else nearest(name, names)
        if meant is None:
            return ""
        place = posixpath.join(place, meant)
    return place


def _elsewhere(tree: Tree, path: str) -> str:
    """Return the path of a file with the same name in another folder; empty where there is none, or several."""
    name = posixpath.basename(path)
    paths = [node.path for node in islice(walk(tree), _SEARCHED) if node.path and node.entry.name == name]
    return paths[0] if len(paths) == 1 else ""
