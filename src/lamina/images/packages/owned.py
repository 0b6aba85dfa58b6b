"""Which files a package put into an image, as its package manager noted it.

Rules: dpkg, info/NAME.list; Alpine's apk-installed(5), F: and R:; packaging.python.org, "Recording installed projects".
"""

from __future__ import annotations

import csv
import io
import posixpath
from collections.abc import Iterator
from contextlib import suppress

from lamina.errors import InvalidInput
from lamina.images.packages.package import Package
from lamina.layers.entry import EntryType
from lamina.layers.tree import Tree, find, read_all

_LIMIT = 64 << 20  # bytes of a list of files
_DPKG_INFO = "var/lib/dpkg/info"


def owned_files(tree: Tree, package: Package) -> Iterator[str]:
    """Yield the paths of a package's files, relative; nothing where no list is kept, as for packages of rpm."""
    match package.kind:
        case "deb":
            for name in (package.name, f"{package.name}:{package.architecture}"):
                for line in _lines(tree, f"{_DPKG_INFO}/{name}.list"):
                    yield line.strip("/")
        case "apk":
            yield from _apk_files(tree, package)
        case "pypi":
            yield from _python_files(tree, package)
        case "npm":
            yield f"{posixpath.dirname(package.path)}/"


def _apk_files(tree: Tree, package: Package) -> Iterator[str]:
    ours, folder = False, ""
    for line in _lines(tree, package.path):
        if line.startswith("P:"):
            ours, folder = line[2:] == package.name, ""
        elif ours and line.startswith("F:"):
            folder = line[2:]
        elif ours and line.startswith("R:"):
            yield posixpath.join(folder, line[2:])


def _python_files(tree: Tree, package: Package) -> Iterator[str]:
    information = posixpath.dirname(package.path)
    site = posixpath.dirname(information)
    with suppress(csv.Error):  # a field that no path can be
        for row in csv.reader(_lines(tree, f"{information}/RECORD")):
            if row:
                yield posixpath.normpath(posixpath.join(site, row[0])).lstrip("/")


def _lines(tree: Tree, path: str) -> Iterator[str]:
    """Yield the lines of a file; none for a file that is not there or too large."""
    try:
        node = find(tree, path)
        if node is None or node.entry.type is not EntryType.REGULAR:
            return
        raw = read_all(tree, node, _LIMIT)
    except InvalidInput:
        return
    for line in io.BytesIO(raw):  # one at a time: all of them would take many times the file's size
        yield line.decode("utf-8", "surrogateescape").rstrip("\r\n")
