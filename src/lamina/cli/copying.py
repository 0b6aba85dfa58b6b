"""The rules of `cp`: what a source is called at its destination.

They are those of `docker cp`: an existing directory takes the source under its own name; another destination gives the
source a new name; a trailing slash insists on a directory; `DIR/.` means what the directory holds.
"""

from __future__ import annotations

import os
import posixpath
from typing import NamedTuple

from lamina.errors import InvalidInput, NotFound

GO_DIRECTORY = 1 << 31  # bits of Go's os.FileMode, which the API sends
GO_SYMLINK = 1 << 27


class Source(NamedTuple):
    """What is copied. `contents` means the directory's entries, not the directory."""

    name: str
    is_dir: bool
    contents: bool = False


class Target(NamedTuple):
    """Where it goes, as it is now."""

    path: str
    exists: bool
    is_dir: bool


class Placement(NamedTuple):
    """Unpack into `folder`, which exists; the first name of every entry becomes `name`."""

    folder: str
    name: str


def place(source: Source, target: Target) -> Placement:
    """Raises NotFound where a directory that was insisted on is not there, InvalidInput for a directory onto a file."""
    insists = target.path.endswith(("/", "/."))
    path = target.path.rstrip("/") or "/"
    if target.exists and target.is_dir:
        return Placement(target.path, "." if source.contents else source.name)
    if target.exists:
        if source.is_dir:
            raise InvalidInput(f"cannot copy a directory to the file {target.path}")
        if insists:
            raise InvalidInput(f"{target.path} is not a directory")
    elif insists and not source.is_dir:
        raise NotFound(
            f"the directory {target.path} does not exist", advice="Make it first, or leave out the last slash"
        )
    path = path.removesuffix("/.") or "/"
    return Placement(posixpath.dirname(path) or ".", posixpath.basename(path))


def renamed(entry: str, source: str, name: str) -> str:
    """An entry's path with its first name, which is `source`, made `name`."""
    first, slash, rest = entry.strip("/").partition("/")
    if first not in (source, "."):
        return entry
    return posixpath.normpath(f"{name}{slash}{rest}")


def split_argument(text: str) -> tuple[str, str]:
    """("container", "path") of CONTAINER:PATH; a local path has "" for the container."""
    if os.path.isabs(text):
        return "", text
    container, colon, path = text.partition(":")
    if not colon or container.startswith("."):
        return "", text
    return container, path
