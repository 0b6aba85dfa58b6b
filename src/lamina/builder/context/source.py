"""A build context with its Dockerfile: from a directory, a tar, a Dockerfile alone, or an address.

Rule for addresses: moby's builder/remotecontext. `git@…`, `git://…`, `github.com/…` and http(s) addresses that end in
`.git` (with an optional `#ref:folder`) are repositories. Text from other http(s) addresses is a Dockerfile, the rest
is a tar.
"""

from __future__ import annotations

import posixpath
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from lamina.builder.context.archive import ArchiveTree
from lamina.builder.context.directory import DirectoryTree, IgnoringTree
from lamina.builder.context.git import checkout
from lamina.builder.context.git_address import GitAddress, is_git
from lamina.builder.download import download, modification_time
from lamina.builder.file_sums import Sums
from lamina.cancellation import NEVER, Cancellation, CheckedReader
from lamina.dockerfile.ignore import IgnoreMatcher, parse_ignore
from lamina.dockerfile.syntax import MAX_SIZE, decode
from lamina.errors import InvalidInput, LaminaError, NotFound, Unavailable
from lamina.formats.http import hide_userinfo
from lamina.layers.compression import Compression, detect
from lamina.layers.decompress import decompressed
from lamina.layers.entry import EntryType
from lamina.layers.tar.source import Prefixed, Readable
from lamina.layers.tree import Tree, find, read_all, walk
from lamina.linux.processes import Caller
from lamina.progress import ignore

DEFAULT_NAME = "Dockerfile"
IGNORE_NAME = ".dockerignore"


@dataclass(slots=True)
class BuildContext:
    """`tree` is None where there is only a Dockerfile. `identity` names a directory whose sums are worth keeping.

    Of a git repository, `commit` is the one that the files are of. `epoch` is the time of the commit, or of what came
    from the web, in seconds since 1970.
    `name` is the path of the Dockerfile. `ignored` tells what was left out of the context, None for nothing. `root` is
    the folder that is read in place, for messages.

    A context manager; closing drops what was spooled.
    """

    dockerfile: str
    tree: Tree | None = None
    sums: Sums = field(default_factory=Sums)
    identity: str = ""
    close: Callable[[], None] = ignore
    commit: str = ""
    epoch: int | None = None
    name: str = DEFAULT_NAME
    ignored: IgnoreMatcher | None = None
    root: str = ""

    def __enter__(self) -> BuildContext:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class ContextPart:
    """Which part of what is sent or fetched makes the context.

    `dockerfile` is the path of the Dockerfile, unless its text comes from elsewhere as `text`: then all files are in
    the context. `folder` is the one that counts, "" for all files.
    """

    dockerfile: str = ""
    text: bytes | None = None
    folder: str = ""


ALL = ContextPart()


def from_dockerfile(raw: bytes) -> BuildContext:
    """Return a context that is a Dockerfile alone: `docker build - < Dockerfile`."""
    return BuildContext(_checked(raw, DEFAULT_NAME))


def from_directory(
    root: Path, dockerfile: str = "", *, raw_dockerfile: bytes | None = None, caller: Caller | None = None
) -> BuildContext:
    """Return a context that reads a directory in place, with the permissions of `caller`, without ignored files.

    `dockerfile` is a path below the root; `raw_dockerfile` is used instead where given. Raise NotFound, Forbidden,
    InvalidInput.
    """
    tree = DirectoryTree(root, caller)
    try:
        name, raw = (DEFAULT_NAME, raw_dockerfile) if raw_dockerfile is not None else read_dockerfile(tree, dockerfile)
        matcher = _ignore_rules(tree, name)
        visible: Tree = IgnoringTree(tree, matcher) if matcher.patterns else tree
        ignored = matcher if matcher.patterns else None
        return BuildContext(
            _checked(raw, name),
            visible,
            identity=tree.identity,
            close=tree.close,
            name=name,
            ignored=ignored,
            root=str(root),
        )
    except BaseException:
        tree.close()
        raise


def from_archive(stream: Readable, temporary: Path, part: ContextPart = ALL) -> BuildContext:
    """Return a context that was sent as a tar, compressed or not, without ignored files.

    Raise InvalidInput for what is no tar, or lacks the folder, NotFound without a Dockerfile.
    """
    tree = ArchiveTree(decompressed(stream), temporary)
    try:
        tree.enter(part.folder)
        if part.text is not None:
            return BuildContext(_checked(part.text, DEFAULT_NAME), tree, Sums(tree.sums), close=tree.close)
        name, raw = read_dockerfile(tree, part.dockerfile)
        ignored = _sent_rules(tree, name)
        _drop_ignored(tree, name)
        return BuildContext(_checked(raw, name), tree, Sums(tree.sums), close=tree.close, name=name, ignored=ignored)
    except BaseException:
        tree.close()
        raise


def read_dockerfile(tree: Tree, name: str) -> tuple[str, bytes]:
    """Return path and bytes of the Dockerfile: `name` where given, else `Dockerfile`, else `dockerfile`.

    Raise NotFound.
    """
    candidates = [name] if name and name != DEFAULT_NAME else [DEFAULT_NAME, DEFAULT_NAME.lower()]
    for candidate in candidates:
        path = posixpath.normpath(candidate).lstrip("/")
        node = find(tree, path)
        if node is not None and not node.is_directory:
            return path, read_all(tree, node, MAX_SIZE)
    raise NotFound(f"Cannot locate specified Dockerfile: {candidates[0]}", advice="Name it with -f, below the context.")


def _checked(raw: bytes, name: str) -> str:
    if not raw:
        raise InvalidInput(f"the Dockerfile ({name}) cannot be empty", advice="Begin it with FROM.")
    return decode(raw)


def _ignore_rules(tree: Tree, dockerfile: str) -> IgnoreMatcher:
    """Return the rules of `<Dockerfile>.dockerignore` where it exists, else of `.dockerignore`."""
    for path in (f"{dockerfile}{IGNORE_NAME}", IGNORE_NAME):
        node = find(tree, path)
        if node is not None and not node.is_directory:
            return IgnoreMatcher(parse_ignore(decode(read_all(tree, node, MAX_SIZE))))
    return IgnoreMatcher(())


def _sent_rules(tree: Tree, dockerfile: str) -> IgnoreMatcher | None:
    """Return the rules by which a client left files out, as far as it sent them along. A broken file has none."""
    try:
        matcher = _ignore_rules(tree, dockerfile)
    except LaminaError:
        return None
    return matcher if matcher.patterns else None


def _drop_ignored(tree: ArchiveTree, dockerfile: str) -> None:
    """Remove the ignore file and the Dockerfile where they are ignored: Docker's client sends them all the same."""
    try:
        matcher = _ignore_rules(tree, "")
    except LaminaError:
        return
    for path in (IGNORE_NAME, dockerfile):
        if matcher.ignores(path).ignored:
            tree.remove(path)


_URL = re.compile(r"https?://", re.IGNORECASE)
_TAR_MAGIC = 257  # where "ustar" stands in a tar
_BLOCK = 512  # bytes of a tar's first header


def from_remote(
    location: str, temporary: Path, part: ContextPart = ALL, cancellation: Cancellation = NEVER
) -> BuildContext:
    """Return the context behind an address. Raise InvalidInput, NotFound, Unavailable, Cancelled."""
    if is_git(location):
        return _from_git(location, temporary, part)
    if _URL.match(location):
        return _from_url(location, temporary, part, cancellation)
    raise InvalidInput(f"{location!r} is neither a folder nor an address", advice="Write https://… or a git address.")


def _from_url(url: str, temporary: Path, part: ContextPart, cancellation: Cancellation) -> BuildContext:
    try:
        with download(url, cancellation) as response:
            stream = CheckedReader(response, cancellation)
            context = (from_stream if part.text is None else from_archive)(stream, temporary, part)
            modified = modification_time(response.headers.get("Last-Modified", ""))
            if modified is None and context.tree is not None:
                modified = newest_file(context.tree)
            return replace(context, epoch=modified)
    except (NotFound, Unavailable) as error:
        message = f"error downloading remote context {hide_userinfo(url)}: {error.message}"
        raise type(error)(message, advice=error.advice, **error.facts) from error


def newest_file(tree: Tree) -> int | None:
    """Return the newest time of the files in a tree in seconds since 1970, None without files."""
    times = [node.entry.mtime_ns for node in walk(tree) if node.entry.type is EntryType.REGULAR]
    return max(times) // 10**9 if times else None


def from_stream(stream: Readable, temporary: Path, part: ContextPart = ALL) -> BuildContext:
    """Return the context in a stream: a tar, or a Dockerfile alone. Raise as `from_archive` does."""
    head = b""
    while len(head) < _BLOCK and (piece := stream.read(_BLOCK - len(head))):
        head += piece
    if _is_tar(head):
        return from_archive(Prefixed(head, stream), temporary, part)
    rest = bytearray(head)
    while len(rest) <= MAX_SIZE and (piece := stream.read(MAX_SIZE)):
        rest += piece
    return from_dockerfile(bytes(rest[: MAX_SIZE + 1]) if part.text is None else part.text)


def _is_tar(head: bytes) -> bool:
    return detect(head) is not Compression.NONE or head[_TAR_MAGIC : _TAR_MAGIC + 5] == b"ustar"


def _from_git(location: str, temporary: Path, part: ContextPart) -> BuildContext:
    address = GitAddress.parse(location)
    root = Path(tempfile.mkdtemp(prefix="git-", dir=temporary))
    try:
        fetched = checkout(address, root)
        context = from_directory(fetched.folder, part.dockerfile, raw_dockerfile=part.text)
    except BaseException:
        shutil.rmtree(root, ignore_errors=True)
        raise

    def close() -> None:
        context.close()
        shutil.rmtree(root, ignore_errors=True)

    # The folder is gone after this build, so there is nothing to remember of it.
    return replace(context, identity="", root="", close=close, commit=fetched.commit, epoch=fetched.seconds)
