"""BuildKit's hash of copied files: of one file, of a directory with all below it, and of what wildcards match.

Rule: moby/buildkit, cache/contenthash/{checksum,filehash,tarsum}.go. A file is its tar header without name and time,
and its content. A directory is its own header and then each name below it with that file's hash.

How a list of matches is hashed changed in v0.26: from then on it names whole paths. The older hash only names the last
parts, so that it cannot tell a file in a directory from one beside it. It is used where no directory matches.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lamina.cancellation import NEVER, Cancellation
from lamina.formats.matching import compile_match, has_wildcards
from lamina.layers.entry import EntryType
from lamina.layers.tree import Node, Tree, entry_at, find, resolve, walk

_CHUNK = 1 << 20
_TYPEFLAGS = {
    EntryType.REGULAR: "0",
    EntryType.SYMLINK: "2",
    EntryType.CHAR: "3",
    EntryType.BLOCK: "4",
    EntryType.DIRECTORY: "5",
    EntryType.FIFO: "6",
}
_NO_HEADER = f"sha256:{hashlib.sha256().hexdigest()}"


class Undecided(Exception):
    """BuildKit's key for this step is not certain, so the step has none."""


@dataclass(frozen=True, slots=True)
class HashedTree:
    """A tree with what BuildKit knows of its root: that of a context has no header. `stamped` are files on disk."""

    tree: Tree
    is_context: bool
    cancellation: Cancellation = NEVER
    stamped: list[Node] = field(default_factory=list)

    def is_unchanged(self) -> bool:
        """Return whether the files on disk that were hashed are as they were."""
        nodes = ((node, self.tree.lookup(node.path)) for node in self.stamped)
        return all(now is not None and now.stamp == node.stamp for node, now in nodes)

    def header_of(self, node: Node) -> str:
        """Return the hash of a file without what is below it.

        Raise Undecided for one whose attributes are made up, Cancelled.
        """
        self.cancellation.check()
        if node.stamp is not None:
            self.stamped.append(node)
        if node.is_directory and not node.path:
            if self.is_context:
                return _NO_HEADER
            raise Undecided("the root of an image")
        if node.implied or node.entry.xattrs:
            raise Undecided(node.path)
        entry = node.entry
        size = entry.size if entry.type is EntryType.REGULAR else 0
        mode = 0o777 if entry.type is EntryType.SYMLINK else entry.mode
        target = entry.target if entry.type is EntryType.SYMLINK else ""
        text = (
            f"namemode{mode}uid{entry.uid}gid{entry.gid}size{size}typeflag{_TYPEFLAGS[entry.type]}"
            f"linkname{target}unamegnamedevmajor{entry.major}devminor{entry.minor}"
        )
        hasher = hashlib.sha256(os.fsencode(text))
        if entry.type is EntryType.REGULAR and size:
            with self.tree.read(node) as content:
                while piece := content.read(_CHUNK):
                    hasher.update(piece)
        return f"sha256:{hasher.hexdigest()}"

    def digest_of(self, node: Node) -> str:
        """Return the hash of a file, of a directory with all that is below it."""
        if not node.is_directory:
            return self.header_of(node)
        parents: list[_OpenDirectory] = []
        for below in walk(self.tree, node.path):
            while len(parents) > 1 and not below.path.startswith(f"{parents[-1].node.path}/"):
                parents[-2].add(parents[-1].node, parents.pop().digest)
            if below.is_directory:
                parents.append(_OpenDirectory(below, self.header_of(below)))
            else:
                parents[-1].add(below, self.header_of(below))
        while len(parents) > 1:
            closed = parents.pop()
            parents[-1].add(closed.node, closed.digest)
        return parents[0].digest


class _OpenDirectory:
    """A directory of which not all files were hashed yet."""

    def __init__(self, node: Node, header: str) -> None:
        self.node = node
        self._hasher = hashlib.sha256(b"\0" + header.encode())

    def add(self, node: Node, digest: str) -> None:
        self._hasher.update(b"\0" + os.fsencode(node.name) + digest.encode())

    @property
    def digest(self) -> str:
        return f"sha256:{self._hasher.hexdigest()}"


@dataclass(frozen=True, slots=True)
class Selector:
    """What an action reads of its input: a clean absolute path, possibly with wildcards."""

    path: str

    @property
    def has_pattern(self) -> bool:
        """Return whether the path is a pattern."""
        return has_wildcards(self.path)


def selected_digests(hashed: HashedTree, selectors: Sequence[Selector]) -> list[list[str]]:
    """Return the hashes of what selectors name, in BuildKit's order: a list for each version that hashes otherwise.

    Raise Undecided.
    """
    ordered = _without_repeats(selectors)
    matches = [_matches(hashed, each) if each.has_pattern else None for each in ordered]
    plain = ["" if each.has_pattern else _plain(hashed, each) for each in ordered]
    versions: list[Callable[[_Matches], str]] = [_hash_of_paths]
    if any(matches):
        versions.append(_hash_of_names)
    if any(each is not None and each.has_directory for each in matches):
        versions = [_hash_of_paths]
    return [
        [digest if each is None else version(each) for each, digest in zip(matches, plain, strict=True)]
        for version in versions
    ]


def _without_repeats(selectors: Sequence[Selector]) -> list[Selector]:
    """Return the selectors sorted by path, without those below another one. Rule: ops/file.go, dedupeSelectors."""
    paths = {each.path for each in selectors if not each.has_pattern}
    plain = [Selector(path) for path in paths if not any(_is_below(path, other) for other in paths - {path})]
    return sorted([*plain, *(each for each in selectors if each.has_pattern)], key=lambda each: os.fsencode(each.path))


def _is_below(path: str, other: str) -> bool:
    return path.startswith(other if other.endswith("/") else f"{other}/")


def _plain(hashed: HashedTree, selector: Selector) -> str:
    node = find(hashed.tree, selector.path.strip("/"))
    if node is None:
        raise Undecided(f"{selector.path} is missing")
    return hashed.digest_of(node)


@dataclass(frozen=True, slots=True)
class _Matches:
    """What a pattern matches: paths as it writes them, with their hashes. `fixed` is its part before wildcards."""

    pattern: str
    fixed: str
    files: Sequence[tuple[str, str]]
    has_directory: bool

    @property
    def single(self) -> str | None:
        """Return the hash of a lone file whose name the pattern writes out."""
        if len(self.files) != 1 or posixpath.basename(self.pattern) != posixpath.basename(self.files[0][0]):
            return None
        return self.files[0][1]


def _matches(hashed: HashedTree, selector: Selector) -> _Matches:
    """Return the files that match and all below them. A link that matches is followed, one below a match is not."""
    parts = selector.path.strip("/").split("/")
    number = next(number for number, part in enumerate(parts) if has_wildcards(part))
    fixed = f"/{'/'.join(parts[:number])}" if number else ""
    place = resolve(lambda path: entry_at(hashed.tree, path), fixed)
    expression, top, files, has_directory = compile_match(selector.path), "", list[tuple[str, str]](), False
    for node in walk(hashed.tree, place):
        path = f"{fixed}{node.path.removeprefix(place)}" if fixed else f"/{node.path}"
        is_below = bool(top) and path.startswith(f"{top}/")
        if not node.path or not (is_below or expression.match(path)):
            continue
        top = top if is_below else path
        if node.is_directory:
            has_directory = True
            files.append((path, hashed.header_of(node)))
        else:
            reached = node if is_below else find(hashed.tree, node.path)
            if reached is None:
                raise Undecided(f"{path} leads nowhere")
            files.append((path, hashed.digest_of(reached)))
    return _Matches(selector.path, fixed, files, has_directory)


def _hash_of_paths(matches: _Matches) -> str:
    if matches.single is not None:
        return matches.single
    names = (path.removeprefix(matches.fixed).replace("/", "\0") or "\0" for path, _ in matches.files)
    text = "".join(name + digest for name, (_, digest) in zip(names, matches.files, strict=True))
    return _digest(text)


def _hash_of_names(matches: _Matches) -> str:
    if matches.single is not None:
        return matches.single
    return _digest("\0".join(posixpath.basename(path) + digest for path, digest in matches.files))


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(os.fsencode(text)).hexdigest()}"
