"""Contexts from elsewhere: an address of a tar or a Dockerfile, a git repository.

Rule: moby's builder/remotecontext: `git@…`, `git://…`, `github.com/…` and http(s) addresses that end in `.git` (with an
optional `#ref:folder`) are repositories; text from other http(s) addresses is a Dockerfile, the rest a tar.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import urllib3

from lamina.build.context.source import BuildContext, from_archive, from_directory, from_dockerfile
from lamina.dockerfile.syntax import MAX_SIZE
from lamina.errors import InvalidInput, NotFound, Unavailable
from lamina.layers.compress import Compression
from lamina.layers.compression import detect

_GIT = re.compile(r"(?:https?://.+\.git(?:#.*)?|git://.+|ssh://.+|git@.+|github\.com/.+)\Z")
_URL = re.compile(r"https?://", re.IGNORECASE)
_SECONDS = 600  # for one git command
_TIMEOUT = urllib3.Timeout(connect=30, read=120)
_TAR_MAGIC = 257  # where "ustar" stands in a tar


def is_remote(location: str) -> bool:
    """Whether `location` is an address rather than a folder."""
    return bool(_GIT.match(location) or _URL.match(location))


def from_remote(location: str, temporary: Path, dockerfile: str = "") -> BuildContext:
    """The context behind an address. Raises InvalidInput, NotFound, Unavailable."""
    if _GIT.match(location):
        return _from_git(location, temporary, dockerfile)
    if _URL.match(location):
        return _from_url(location, temporary, dockerfile)
    raise InvalidInput(f"{location!r} is neither a folder nor an address", advice="Write https://… or a git address.")


def _from_url(url: str, temporary: Path, dockerfile: str) -> BuildContext:
    with urllib3.PoolManager(timeout=_TIMEOUT) as pool:
        try:
            response = pool.request("GET", url, preload_content=False)
            if response.status >= 400:
                kind = NotFound if response.status == 404 else Unavailable
                raise kind(f"error downloading remote context {url}: status {response.status}", url=url)
            head = response.read(512)
            if _is_tar(head):
                return from_archive(_Joined(head, response), temporary, dockerfile)
            return from_dockerfile(head + response.read(MAX_SIZE))
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(f"error downloading remote context {url}: {error}", url=url) from error


def _is_tar(head: bytes) -> bool:
    return detect(head) is not Compression.NONE or head[_TAR_MAGIC : _TAR_MAGIC + 5] == b"ustar"


class _Joined:
    """Bytes that were read already, and then the rest of a stream."""

    def __init__(self, head: bytes, rest: urllib3.BaseHTTPResponse) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int, /) -> bytes:
        if self._head:
            piece, self._head = self._head[:size], self._head[size:]
            return piece
        return self._rest.read(size)


@dataclass(frozen=True, slots=True)
class GitAddress:
    """A repository, what to check out (empty: its default branch), and the folder that is the context."""

    remote: str
    ref: str = ""
    folder: str = ""

    @classmethod
    def parse(cls, location: str) -> GitAddress:
        """Raises InvalidInput for a ref that git would take for an option."""
        remote, _, fragment = location.partition("#")
        if remote.startswith("github.com/"):
            remote = f"https://{remote}"
        ref, _, folder = fragment.partition(":")
        if ref.startswith("-"):
            raise InvalidInput(f"invalid refspec: {ref}", advice="Name a branch, a tag or a commit.")
        return cls(remote, ref, folder)


def _from_git(location: str, temporary: Path, dockerfile: str) -> BuildContext:
    address = GitAddress.parse(location)
    if shutil.which("git") is None:
        raise Unavailable("git is not installed", advice="Install it, or send the files as a folder.")
    root = Path(tempfile.mkdtemp(prefix="git-", dir=temporary))
    try:
        _checkout(address, root)
        shutil.rmtree(root / ".git", ignore_errors=True)
        context = from_directory(_inside(root, address.folder), dockerfile)
    except BaseException:
        shutil.rmtree(root, ignore_errors=True)
        raise
    close_tree = context.close

    def close() -> None:
        close_tree()
        shutil.rmtree(root, ignore_errors=True)

    context.identity = ""  # the folder is gone after this build, so there is nothing to remember of it
    context.close = close
    return context


def _inside(root: Path, folder: str) -> Path:
    path = (root / folder).resolve()
    if not path.is_relative_to(root.resolve()) or not path.is_dir():
        raise InvalidInput(f"error setting git context, not a directory within the repository: {folder!r}")
    return path


def _checkout(address: GitAddress, root: Path) -> None:
    _git(root, "init", "--quiet")
    fetch = ("fetch", "--quiet", address.remote, "--", address.ref or "HEAD")
    try:
        _git(root, *fetch[:2], "--depth", "1", *fetch[2:])
    except InvalidInput:  # plain file servers cannot give a part of the history
        _git(root, *fetch)
    _git(root, "checkout", "--quiet", "FETCH_HEAD")
    _git(root, "submodule", "update", "--init", "--recursive", "--depth=1", "--quiet")


def _git(root: Path, *arguments: str) -> None:
    """Run git without the user's or the machine's configuration, and without protocols that lead to local files."""
    environment = {
        **os.environ,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "HOME": "/nonexistent",
    }
    command = ["git", "-c", "protocol.file.allow=never", "-c", "core.hooksPath=/dev/null", *arguments]
    try:
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"git {arguments[0]} took more than {_SECONDS} seconds") from error
    if done.returncode != 0:
        message = done.stderr.decode("utf-8", "replace").strip()
        raise InvalidInput(f"git {arguments[0]} failed: {message}", exit_code=done.returncode)
