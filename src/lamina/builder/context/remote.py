"""Contexts from elsewhere: an address of a tar or a Dockerfile, a git repository.

Rule: moby's builder/remotecontext: `git@…`, `git://…`, `github.com/…` and http(s) addresses that end in `.git` (with an
optional `#ref:folder`) are repositories; text from other http(s) addresses is a Dockerfile, the rest a tar.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from lamina.builder.context.git import GitAddress, checkout, is_git
from lamina.builder.context.source import BuildContext, from_archive, from_directory, from_dockerfile
from lamina.builder.download import download
from lamina.cancellation import NEVER, Cancellation, CheckedReader
from lamina.dockerfile.syntax import MAX_SIZE
from lamina.errors import InvalidInput, NotFound, Unavailable
from lamina.formats.userinfo import hide_userinfo
from lamina.layers.compression import Compression, detect
from lamina.layers.tar.source import Prefixed

_URL = re.compile(r"https?://", re.IGNORECASE)
_TAR_MAGIC = 257  # where "ustar" stands in a tar


def from_remote(
    location: str, temporary: Path, dockerfile: str = "", cancellation: Cancellation = NEVER
) -> BuildContext:
    """Return the context behind an address. Raise InvalidInput, NotFound, Unavailable, Cancelled."""
    if is_git(location):
        return _from_git(location, temporary, dockerfile)
    if _URL.match(location):
        return _from_url(location, temporary, dockerfile, cancellation)
    raise InvalidInput(f"{location!r} is neither a folder nor an address", advice="Write https://… or a git address.")


def _from_url(url: str, temporary: Path, dockerfile: str, cancellation: Cancellation) -> BuildContext:
    try:
        with download(url, cancellation) as response:
            head = response.read(512)
            if _is_tar(head):
                return from_archive(CheckedReader(Prefixed(head, response), cancellation), temporary, dockerfile)
            return from_dockerfile(head + response.read(MAX_SIZE))
    except (NotFound, Unavailable) as error:
        message = f"error downloading remote context {hide_userinfo(url)}: {error.message}"
        raise type(error)(message, advice=error.advice, **error.facts) from error


def _is_tar(head: bytes) -> bool:
    return detect(head) is not Compression.NONE or head[_TAR_MAGIC : _TAR_MAGIC + 5] == b"ustar"


def _from_git(location: str, temporary: Path, dockerfile: str) -> BuildContext:
    address = GitAddress.parse(location)
    root = Path(tempfile.mkdtemp(prefix="git-", dir=temporary))
    try:
        context = from_directory(checkout(address, root), dockerfile)
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
