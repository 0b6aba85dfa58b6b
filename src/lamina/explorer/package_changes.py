"""Which packages differ between two images, and which of the changed files are theirs."""

from __future__ import annotations

import posixpath
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice, takewhile

from lamina.api.explorer import PackageChange
from lamina.cancellation import NEVER, Cancellation
from lamina.images.packages.owned import owned_files
from lamina.images.packages.package import Package
from lamina.images.packages.scan import scan
from lamina.layers.tree import Tree, find

_MOST_LOOKS = 5_000_000  # files of packages, in one comparison
_FIRST_LOOK = 1_000  # what opening a list counts as
_Key = tuple[str, str, str, str, str]


def package_changes(
    before: Tree, after: Tree, changed: Sequence[str], cancellation: Cancellation = NEVER
) -> tuple[PackageChange, ...]:
    """Return the packages that are new, gone or of another version, sorted. `changed` are the paths that differ.

    Raise Cancelled.
    """
    old, new = _by_key(before, cancellation), _by_key(after, cancellation)
    owners = _Owners(changed)
    found = []
    for key in sorted(old.keys() | new.keys()):
        for first, second in _pairs(old.get(key, {}), new.get(key, {})):
            cancellation.check()
            files: set[str] = set()
            for tree, package in ((before, first), (after, second)):
                files |= owners.changed_files(tree, package) if package else set()
            found.append(
                PackageChange(
                    kind=key[0],
                    name=f"{key[1]}/{key[2]}" if key[0] == "npm" and key[1] else key[2],
                    architecture=key[3],
                    before=first.version if first else None,
                    after=second.version if second else None,
                    files=tuple(sorted(files)),
                )
            )
    return tuple(found)


class _Owners:
    """Finds which of the changed files are a package's, until so many files were looked up that it gets too long."""

    def __init__(self, changed: Sequence[str]) -> None:
        self._paths = {path.lstrip("/"): path for path in changed}
        self._sorted = sorted(self._paths)
        self._left = _MOST_LOOKS

    def changed_files(self, tree: Tree, package: Package) -> set[str]:
        """Return the changed files of a package that `tree` has."""
        self._left -= _cost(tree, package)
        if self._left < 0:
            return set()
        files: set[str] = set()
        for owned in islice(owned_files(tree, package), self._left):
            self._left -= 1
            if owned.endswith("/"):
                files |= {self._paths[path] for path in self._below(owned)}
            elif owned in self._paths:
                files.add(self._paths[owned])
        return files

    def _below(self, folder: str) -> list[str]:
        start = bisect_left(self._sorted, folder)
        return list(takewhile(lambda path: path.startswith(folder), islice(self._sorted, start, None)))


def _cost(tree: Tree, package: Package) -> int:
    """Return what finding a package's list counts as. The lists of apk's packages lie in one file, which is read."""
    node = find(tree, package.path) if package.kind == "apk" else None
    return _FIRST_LOOK + (node.entry.size // 256 if node else 0)


def _by_key(tree: Tree, cancellation: Cancellation) -> dict[_Key, dict[str, Package]]:
    """Return the packages of a tree by their version, below what two versions of a package have in common."""
    packages: dict[_Key, dict[str, Package]] = defaultdict(dict)
    for package in scan(tree, cancellation).packages:
        place = posixpath.dirname(posixpath.dirname(package.path)) if package.kind in ("npm", "pypi") else ""
        key = (package.kind, package.namespace, package.name, package.architecture, place)
        packages[key][package.version] = package
    return packages


def _pairs(old: dict[str, Package], new: dict[str, Package]) -> Iterator[tuple[Package | None, Package | None]]:
    """Yield what became what: versions that both have are left out, the others are paired in order."""
    gone = [old[version] for version in sorted(old.keys() - new.keys())]
    come = [new[version] for version in sorted(new.keys() - old.keys())]
    for number in range(max(len(gone), len(come))):
        yield (gone[number] if number < len(gone) else None, come[number] if number < len(come) else None)
