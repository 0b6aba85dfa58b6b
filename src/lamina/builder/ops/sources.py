"""Files from outside, by the scheme of their address.

Rule: moby/buildkit, source/*, and the attributes of solver/pb/attr.go.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from lamina.builder.console import Console
from lamina.builder.context.archive import DownloadTree
from lamina.builder.context.directory import DirectoryTree
from lamina.builder.context.git import checkout
from lamina.builder.context.git_address import GitAddress
from lamina.builder.copy.add import UNNAMED, Downloads
from lamina.builder.file_sums import Sums
from lamina.builder.graph.operations import Source
from lamina.builder.ops.outside import Outside
from lamina.builder.ops.result import LooseFiles, Result
from lamina.cancellation import Cancellation
from lamina.dockerfile.position import Problem
from lamina.errors import InvalidInput, TooLarge, Unsupported
from lamina.formats.platform import Platform
from lamina.formats.times import parse_time
from lamina.images.image import Image
from lamina.layers.entry import Entry
from lamina.layers.limits import Limits
from lamina.layers.tree import Content, Node, Tree
from lamina.progress import Report, ignore
from lamina.store.store import Store

_SESSION = "buildkit-session/"  # an address that stands for the client
_PIECE = 1 << 20
_DEFAULT_NAME = "download"  # what BuildKit calls a file whose address names none
_RESOLVE_MODES = {"": "default", "default": "default", "pull": "pull", "local": "local"}


@dataclass(frozen=True, slots=True)
class Sources:
    """Fetches sources for one build. What they hold is given back when `closing` closes. Thread-safe."""

    store: Store
    outside: Outside
    temporary: Path
    closing: ExitStack
    cancellation: Cancellation

    def fetch(self, source: Source, platform: Platform | None, report: Report) -> Result:
        """Return the files of a source. Raise Unsupported for an unknown scheme, and what the source raises."""
        scheme, separator, name = source.identifier.partition("://")
        if not separator:
            raise InvalidInput(f"the source {source.identifier!r} has no scheme", advice="Write docker-image://NAME.")
        attributes = source.attributes
        match scheme:
            case "docker-image":
                mode = _RESOLVE_MODES.get(attributes.get("image.resolvemode", ""), "default")
                image = self.outside.image(name, platform, mode, report)
                return self._image(image, attributes.get("image.layerlimit", ""))
            case "oci-layout":
                image = self.outside.layout(name, platform, attributes)
                return self._image(image, attributes.get("oci.layerlimit", ""))
            case "local":
                files = self.outside.folder_files(name, attributes, report)
                self.closing.callback(files.close)
                return LooseFiles(self.store, files.tree, files.sums)
            case "git":
                return self._repository(name, attributes)
            case "http" if name.startswith(_SESSION):
                return self._upload(name.removeprefix(_SESSION), attributes)
            case "http" | "https":
                return self._download(source.identifier, attributes)
            case _:
                raise Unsupported(f"sources of the kind {scheme}:// are not supported")

    def _image(self, image: Image, limit: str) -> Result:
        """Return the files of an image, or of its lowest layers."""
        if limit and not limit.isdecimal():
            raise InvalidInput(f"the layer limit {limit!r} is no number")
        layers = image.layers[: int(limit)] if limit else image.layers
        created = image.config.created
        return Result(layers, max(parse_time(created), 0) if created else 0)

    def _repository(self, name: str, attributes: Mapping[str, str]) -> Result:
        """Return a commit of a git repository."""
        _, _, fragment = name.partition("#")
        remote = attributes.get("git.fullurl") or f"https://{name.partition('#')[0]}"
        address = GitAddress.parse(f"{remote.partition('#')[0]}#{fragment}" if fragment else remote)
        root = Path(tempfile.mkdtemp(prefix="git-", dir=self.temporary))
        self.closing.callback(shutil.rmtree, root, ignore_errors=True)
        submodules = attributes.get("git.skipsubmodules") != "true"
        keep, commit = attributes.get("git.keepgitdir") == "true", attributes.get("git.checksum", "")
        fetched = checkout(address, root, keep_git=keep, commit=commit, submodules=submodules)
        tree = DirectoryTree(fetched.folder)
        self.closing.callback(tree.close)
        # A `.git` folder is different each time, though it holds the same.
        identity = f"git {address.remote} {fetched.commit} {address.folder} {keep} {submodules}"
        return LooseFiles(self.store, tree, Sums(), identity=identity)

    def _download(self, url: str, attributes: Mapping[str, str]) -> Result:
        """Return one file from the web. Rule: moby/buildkit, source/http: mode 0600 and the name of the address."""
        downloads = Downloads(self.temporary, Console(ignore), self.cancellation, self.closing)
        try:
            download = downloads.fetch(url, attributes.get("http.checksum", ""))
        except Problem as problem:
            raise InvalidInput(problem.message, advice=problem.advice) from None
        return self._named(download.tree, download.node, attributes)

    def _upload(self, path: str, attributes: Mapping[str, str]) -> Result:
        """Return one file that the client sends."""
        tree = DownloadTree(self.temporary)
        self.closing.callback(tree.close)
        size, limit = 0, Limits().expanded_size
        with self.outside.upload(path) as stream:
            while piece := stream.read(_PIECE):
                size += len(piece)
                if size > limit:
                    raise TooLarge(f"the client sends more than {limit} bytes", limit=limit)
                tree.write(piece)
        return self._named(tree, tree.finish(UNNAMED, mtime_ns=0), attributes)

    def _named(self, tree: Tree, node: Node, attributes: Mapping[str, str]) -> Result:
        """Return a single file with the name, mode and owner that its source asks for."""
        name = attributes.get("http.filename") or node.name
        entry = replace(
            node.entry,
            path=name if name != UNNAMED else _DEFAULT_NAME,
            mode=_octal(attributes.get("http.perm", ""), 0o600),
            uid=_number(attributes.get("http.uid", "")),
            gid=_number(attributes.get("http.gid", "")),
        )
        if "/" in entry.path or entry.path in ("", ".", ".."):
            raise InvalidInput(f"{entry.path!r} is no name for a downloaded file")
        return LooseFiles(self.store, _Renamed(tree, node, entry), Sums())


def _octal(text: str, default: int) -> int:
    try:
        return int(text, 8) & 0o7777 if text else default
    except ValueError:
        raise InvalidInput(f"the mode {text!r} of a download is no octal number") from None


def _number(text: str) -> int:
    if text and not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise InvalidInput(f"the owner {text!r} of a download is no number")
    return int(text or 0)


class _Renamed:
    """A downloaded file under another name, with other attributes."""

    def __init__(self, tree: Tree, node: Node, entry: Entry) -> None:
        self._tree = tree
        self._original = node
        self._node = replace(node, entry=entry)

    def lookup(self, path: str) -> Node | None:
        if path == self._node.path:
            return self._node
        return self._tree.lookup("") if path == "" else None

    def children(self, path: str) -> Iterator[Node]:
        yield from (self._node,) if path == "" else ()

    def read(self, node: Node) -> Content:
        return self._tree.read(self._original)
