"""Looking through an image's files for packages.

Only files that package managers write are read, through the layers' indexes. Links are followed inside the image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from lamina.cancellation import NEVER, Cancellation
from lamina.errors import InvalidInput
from lamina.images.packages.languages import read_package, tells_of_package
from lamina.images.packages.package import Distribution, Package, cut
from lamina.images.packages.rpm import FOLDERS, NDB, SQLITE, rpm_packages
from lamina.images.packages.stanzas import APK_INSTALLED, DPKG_FOLDER, DPKG_STATUS, apk_packages, dpkg_packages
from lamina.layers.entry import EntryType
from lamina.layers.tree import Node, Tree, find, read_all, walk

MOST = 200_000  # packages of one image
DATABASE_LIMIT = 256 << 20  # bytes of a package manager's database
FILE_LIMIT = 4 << 20  # bytes of a file that tells of one package
_OS_RELEASE = ("etc/os-release", "usr/lib/os-release")

Reader = Callable[[bytes, str, Distribution], Iterator[Package]]


@dataclass(frozen=True, slots=True)
class Found:
    """The packages of an image, sorted, its distribution, and the files that could not be understood."""

    packages: tuple[Package, ...]
    distribution: Distribution
    damaged: tuple[str, ...] = ()


def scan(tree: Tree, cancellation: Cancellation = NEVER) -> Found:
    """Return the packages in a tree of files. Raise Cancelled."""
    work = _Scan(tree, cancellation)
    packages = set(islice(work.packages(), MOST))
    return Found(tuple(sorted(packages)), work.distribution, tuple(sorted(work.damaged)))


class _Scan:
    """One look through a tree."""

    def __init__(self, tree: Tree, cancellation: Cancellation) -> None:
        self._tree = tree
        self._cancellation = cancellation
        self.damaged: set[str] = set()
        self.distribution = self._distribution()

    def packages(self) -> Iterator[Package]:
        """Yield all packages, some of them twice."""
        yield from self._database(DPKG_STATUS, dpkg_packages)
        folder = self._find(DPKG_FOLDER)
        for node in self._tree.children(folder.path) if folder is not None and folder.is_directory else ():
            if not node.name.endswith(".md5sums"):
                yield from self._database(node.path, dpkg_packages)
        for path in APK_INSTALLED:
            yield from self._database(path, apk_packages)
        for place in FOLDERS:
            for name in (SQLITE, NDB):
                yield from self._database(f"{place}/{name}", rpm_packages)
        yield from self._languages()

    def _languages(self) -> Iterator[Package]:
        for node in walk(self._tree):
            self._cancellation.check()
            if node.entry.type is EntryType.REGULAR and tells_of_package(node.path):
                raw = self._read(node, FILE_LIMIT)
                package = None if raw is None else read_package(node.path, raw)
                if package is not None:
                    yield package

    def _database(self, path: str, reader: Reader) -> Iterator[Package]:
        self._cancellation.check()
        node = self._find(path)
        if node is None or node.entry.type is not EntryType.REGULAR:
            return
        raw = self._read(node, DATABASE_LIMIT)
        try:
            yield from reader(raw, node.path, self.distribution) if raw is not None else ()
        except InvalidInput:
            self.damaged.add(node.path)

    def _distribution(self) -> Distribution:
        for path in _OS_RELEASE:
            node = self._find(path)
            if node is None or node.entry.type is not EntryType.REGULAR:
                continue
            raw = self._read(node, FILE_LIMIT) or b""
            pairs = (line.partition("=") for line in raw.decode("utf-8", "replace").splitlines())
            fields = {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}
            return Distribution(cut(fields.get("ID")), cut(fields.get("VERSION_ID")))
        return Distribution()

    def _find(self, path: str) -> Node | None:
        try:
            return find(self._tree, path)
        except InvalidInput:  # a loop of links
            return None

    def _read(self, node: Node, limit: int) -> bytes | None:
        try:
            return read_all(self._tree, node, limit)
        except InvalidInput:
            self.damaged.add(node.path)
            return None
