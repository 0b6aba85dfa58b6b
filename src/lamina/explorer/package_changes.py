"""Which packages differ between two images, and which of the changed files are theirs."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterator, Sequence

from lamina.api.explorer import PackageChange
from lamina.cancellation import NEVER, Cancellation
from lamina.images.packages.owned import is_owned, owned_files
from lamina.images.packages.package import Package
from lamina.images.packages.scan import scan
from lamina.layers.tree import Tree

_Key = tuple[str, str, str, str, str]


def package_changes(
    before: Tree, after: Tree, changed: Sequence[str], cancellation: Cancellation = NEVER
) -> tuple[PackageChange, ...]:
    """Return the packages that are new, gone or of another version, sorted. `changed` are the paths that differ.

    Raise Cancelled.
    """
    old, new = _by_key(before, cancellation), _by_key(after, cancellation)
    found = []
    for key in sorted(old.keys() | new.keys()):
        for first, second in _pairs(old.get(key, {}), new.get(key, {})):
            files: set[str] = set()
            for tree, package in ((before, first), (after, second)):
                owned = frozenset(owned_files(tree, package)) if package else frozenset()
                files.update(path for path in changed if is_owned(path.lstrip("/"), owned))
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
