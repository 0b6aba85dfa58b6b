"""What only ADD does: archives are unpacked where they land, URLs are downloaded.

Rule: moby's classic builder (copy.go, pkg/archive): an archive is what begins with a readable tar header, compressed or
not; its members keep mode, times and attributes, and their owner unless there is --chown, as in BuildKit; a downloaded
file has mode 0600, the time of Last-Modified, and is not unpacked.
"""

from __future__ import annotations

import email.message
import hashlib
import posixpath
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lamina.builder.console import Console
from lamina.builder.context.archive import ArchiveTree, DownloadTree
from lamina.builder.context.directory import DirectoryTree
from lamina.builder.context.git import checkout
from lamina.builder.context.git_address import GitAddress, is_git
from lamina.builder.copy.ownership import Owner
from lamina.builder.copy.place import Placing
from lamina.builder.copy.sources import CopySource
from lamina.builder.download import download, modification_time
from lamina.builder.layer_plan import LayerPlan, PlannedFile
from lamina.cancellation import Cancellation
from lamina.dockerfile.position import Problem
from lamina.errors import Cancelled, InvalidInput, LaminaError
from lamina.formats.digest import Digest
from lamina.formats.http import hide_userinfo
from lamina.layers.decompress import decompressed
from lamina.layers.entry import EntryType
from lamina.layers.limits import Limits
from lamina.layers.tar.header import BLOCK, parse_header
from lamina.layers.tar.source import TarSource
from lamina.layers.tree import Node, walk

UNNAMED = "__unnamed__"  # what BuildKit calls a file whose address names none
_CHUNK = 1 << 20


def remote_words(words: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the local sources, and the addresses of files and git repositories."""
    remote = tuple(word for word in words if word.startswith(("http://", "https://")) or is_git(word))
    return tuple(word for word in words if word not in remote), remote


def is_archive(source: CopySource) -> bool:
    """Return whether a file, expanded where it is compressed, begins with the header of a tar."""
    if source.node.entry.type is not EntryType.REGULAR:
        return False
    try:
        with source.tree.read(source.node) as data:
            block = TarSource(decompressed(data), Limits().expanded_size).upto(BLOCK)
        return len(block) == BLOCK and bool(parse_header(block, 0))
    except LaminaError:
        return False


def place_archive(
    source: CopySource, placing: Placing, owner: Owner | None, temporary: Path, closing: ExitStack
) -> bool:
    """Plan the members of an archive below the destination. Return False when `source` is no archive.

    The members keep their owners if `owner` is None. Raise Problem for a broken archive.
    """
    if not is_archive(source):
        return False
    try:
        with source.tree.read(source.node) as data:
            tree = ArchiveTree(decompressed(data), temporary, keep_owners=True)
    except InvalidInput as error:
        raise Problem(f"failed to copy files: {error.message}", error.advice) from None
    closing.callback(tree.close)
    plan = placing.plan
    target = plan.resolve(placing.destination)
    above = owner or Owner()
    plan.make_directories(target, uid=above.uid, gid=above.gid)
    for node in walk(tree):
        if node.path:
            _put(node, target, tree, placing.plan, owner)
    return True


def _put(node: Node, target: str, tree: ArchiveTree, plan: LayerPlan, owner: Owner | None) -> None:
    """Plan one member. dockerd unpacks with the destination as the root, so no link leads above it."""
    parent, _, name = node.path.rpartition("/")
    if node.implied:
        plan.make_directories(plan.resolve(node.path, target))
        return
    if node.is_directory:
        path = plan.landing(node.path, target)
    else:
        parent = plan.resolve(parent, target)
        path = f"{parent}/{name}" if parent else name
    entry = replace(node.entry, path=path)
    if owner is not None:
        entry = replace(entry, uid=owner.uid, gid=owner.gid)
    plan.put_copy(PlannedFile(entry, tree, node))


class Downloads:
    """Fetches the addresses of one ADD. The files are deleted when `closing` closes."""

    def __init__(self, temporary: Path, console: Console, cancellation: Cancellation, closing: ExitStack) -> None:
        self._temporary = temporary
        self._cancellation = cancellation
        self._console = console
        self._closing = closing
        self.done: list[tuple[str, tuple[tuple[str, str], ...]]] = []
        """The addresses that were fetched, without credentials, each with digests by algorithm."""
        self.commit_seconds: int | None = None
        """The time of the commit that was cloned last."""

    def clone(self, location: str, keep_git: bool, checksum: str) -> CopySource:
        """Return the folder of a git repository. Raise Problem when git fails, or the commit is not `checksum`."""
        root = Path(tempfile.mkdtemp(prefix="git-", dir=self._temporary))
        self._closing.callback(shutil.rmtree, root, ignore_errors=True)
        try:
            fetched = checkout(GitAddress.parse(location), root, keep_git=keep_git, commit=checksum)
        except LaminaError as error:
            raise Problem(error.message, error.advice) from None
        self.done.append((hide_userinfo(location), (("sha1", fetched.commit),)))
        self.commit_seconds = fetched.seconds
        tree = DirectoryTree(fetched.folder)
        self._closing.callback(tree.close)
        top = tree.lookup("")
        if top is None:
            raise Problem(f"{location} holds no folder")
        return CopySource("", top, tree, tuple(walk(tree)))

    def fetch(self, url: str, checksum: str) -> CopySource:
        """Download the file at `url`. Raise Problem when that fails, or the file has another checksum."""
        tree = DownloadTree(self._temporary)
        self._closing.callback(tree.close)
        expected = _wanted(checksum)
        hasher = expected.hasher() if expected else hashlib.sha256()
        try:
            with download(url, self._cancellation) as response:
                for piece in response.stream(_CHUNK):
                    self._cancellation.check()
                    tree.write(piece)
                    hasher.update(piece)
                name = _file_name(url, response.headers.get("Content-Disposition", ""))
                modified = _time_ns(response.headers.get("Last-Modified", ""))
        except Cancelled:
            raise
        except LaminaError as error:
            raise Problem(f"failed to GET {url}: {error.message}", error.advice) from None
        self._console.line("")
        if expected and expected.encoded != hasher.hexdigest():
            actual = f"{expected.algorithm}:{hasher.hexdigest()}"
            raise Problem(f"digest mismatch for {url}: {actual}, not {expected}", "Did the file change?")
        algorithm = expected.algorithm if expected else "sha256"
        self.done.append((hide_userinfo(url), ((algorithm, hasher.hexdigest()),)))
        node = tree.finish(name or UNNAMED, mtime_ns=modified)
        return CopySource(node.path, node, tree, (node,), from_url=True)


def check_checksum(checksum: str, sources: int, remote: int) -> None:
    """Raise Problem when --checksum is given without exactly one source that is an address."""
    if checksum and sources != 1:
        raise Problem("checksum can't be specified for multiple sources", "Write one ADD for each.")
    if checksum and not remote:
        raise Problem("checksum requires HTTP(S) or Git sources", "Leave it out for files of the context.")


def _wanted(checksum: str) -> Digest | None:
    try:
        return Digest.parse(checksum) if checksum else None
    except InvalidInput as error:
        raise Problem(f"invalid checksum {checksum}: {error.message}", "Write sha256: and 64 digits.") from None


def _file_name(url: str, disposition: str) -> str:
    path = unquote(urlsplit(url).path)
    if path and not path.endswith("/"):
        return posixpath.basename(path)
    if disposition:
        message = email.message.Message()
        message["Content-Disposition"] = disposition
        name = message.get_filename() or ""
        return "" if name.endswith("/") else posixpath.basename(name)
    return ""


def _time_ns(modified: str) -> int:
    return (modification_time(modified) or 0) * 10**9
