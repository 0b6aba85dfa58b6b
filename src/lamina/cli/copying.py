"""The rules of `cp`: the name of a source at its destination, and unpacking a container's archive there.

They are those of `docker cp`: an existing directory takes the source under its own name; another destination gives the
source a new name; a trailing slash insists on a directory; `DIR/.` means what the directory holds.
"""

from __future__ import annotations

import io
import os
import posixpath
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from lamina.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

GO_DIRECTORY = 1 << 31  # bits of Go's os.FileMode, which the API sends
GO_SYMLINK = 1 << 27
GO_IRREGULAR = 1 << 26 | 1 << 25 | 1 << 24 | 1 << 21 | 1 << 19  # devices, pipes, sockets
LINKS = 10  # symlinks that are followed from a destination, as many as docker follows


class CopiedFile(NamedTuple):
    """A file or directory to copy, and its name in the target directory: "" for a directory's contents (`DIR/.`)."""

    name: str
    is_dir: bool


class Target(NamedTuple):
    """The destination before the copy."""

    path: str
    exists: bool
    is_dir: bool


class Placement(NamedTuple):
    """The source is unpacked into `folder` and called `name` there. "" puts its contents into the folder itself."""

    folder: str
    name: str


def place(source: CopiedFile, target: Target) -> Placement:
    """Return where to unpack. Raise NotFound for a missing directory, InvalidInput for a directory onto a file."""
    if target.exists and target.is_dir:
        return Placement(target.path, source.name)
    if target.exists and source.is_dir:
        raise InvalidInput(f"cannot copy a directory to the file {target.path}")
    if insists_on_directory(target.path) and not (source.is_dir or target.exists):
        advice = "Make it first, or leave out the last slash"
        raise NotFound(f"the directory {target.path} does not exist", advice=advice)
    return Placement(*split_entry(target.path))


def renamed(entry: str, top: str, name: str) -> str:
    """Return the path of an archive's entry with the archive's own top directory or file called `name`.

    Both may be "", which stands for the folder that is unpacked into. Paths are clean: "a/b", without a dot. What is
    not below `top` is put below `name` as well.
    """
    below = entry[len(top) :].lstrip("/") if entry == top or entry.startswith(f"{top}/") or not top else entry
    return posixpath.join(name, below).rstrip("/")


def names_contents(path: str) -> bool:
    """Return whether a path stands for its directory's contents: its last part is "."."""
    return path == "." or path.endswith("/.")


def insists_on_directory(path: str) -> bool:
    """Return whether a path can name nothing but a directory."""
    return path.endswith("/") or names_contents(path)


def split_entry(path: str) -> tuple[str, str]:
    """Return the directory of a path and its last part, which may be "." (`SplitPathDirEntry` of moby)."""
    clean = posixpath.normpath(path)
    if names_contents(path):
        return clean, "."
    return posixpath.dirname(clean) or ".", posixpath.basename(clean)


def absolute(path: str) -> str:
    """Return a path of this machine from its root on, with the slash or dot at its end left there."""
    ending = "/." if names_contents(path) else "/" if path.endswith("/") else ""
    return os.path.abspath(path).rstrip("/") + ending or "/"


def local_source(path: str, follow: bool) -> tuple[str, CopiedFile]:
    """Return the absolute path of a local source, and its kind. Raise OSError if it is missing.

    A symbolic link is itself, unless `follow` or the path's end insists on a directory.
    """
    path = absolute(path)
    status = os.stat(path) if follow or insists_on_directory(path) else os.lstat(path)
    name = "" if names_contents(path) else os.path.basename(os.path.normpath(path))
    return path, CopiedFile(name, stat.S_ISDIR(status.st_mode))


def local_target(path: str) -> Target:
    """Return the target of a destination on this machine. A symbolic link is followed, even a dangling one.

    Raise NotFound if the directory of a new file is missing, InvalidInput for a device, and OSError.
    """
    path = absolute(path)
    for _ in range(LINKS):
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            break
        if not stat.S_ISLNK(status.st_mode):
            if not (stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode)):
                raise InvalidInput(f"{path} is no directory and no regular file", advice="Name another destination")
            return Target(path, True, stat.S_ISDIR(status.st_mode))
        path = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))
    folder = split_entry(path)[0]
    if not os.path.isdir(folder):
        raise NotFound(f"the directory {folder} does not exist")
    return Target(path, False, False)


def split_argument(text: str) -> tuple[str, str]:
    """Return ("container", "path") of CONTAINER:PATH; a local path has "" for the container."""
    if os.path.isabs(text):
        return "", text
    container, colon, path = text.partition(":")
    if not colon or container.startswith("."):
        return "", text
    return container, path


class ChunkReader(io.RawIOBase):
    """A readable file over an iterator of bytes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        while not self._rest:
            piece = next(self._chunks, None)
            if piece is None:
                return 0
            self._rest = piece
        count = min(len(view), len(self._rest))
        view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def unpack(chunks: Iterator[bytes], top: str, placement: Placement, *, keep_owner: bool) -> None:
    """Unpack a tar whose names begin with `top` as `placement` says. Files are ours unless `keep_owner`.

    Raise what `lamina.layers.unpack` does: InvalidInput for a damaged archive, Conflict for a directory in a file's
    place or the other way round, Forbidden, NoSpace; and NotFound for an empty archive.
    """
    from lamina.layers.unpack import Style, moved
    from lamina.layers.unpack import unpack as unpack_below

    folder = os.open(placement.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        owner = None if keep_owner else (os.geteuid(), os.getegid())
        stream = io.BufferedReader(ChunkReader(chunks), 1 << 20)
        unpacked = unpack_below(
            stream,
            folder,
            Style.PLAIN,
            owner=owner,
            keep_kinds=True,
            # The folder itself stays as it is.
            change=lambda entry: moved(entry, lambda path: renamed(path, top, placement.name) or None),
        )
    finally:
        os.close(folder)
    if not unpacked.entries:  # dockerd does this to names that are no UTF-8
        raise NotFound("the daemon found the path and then sent nothing of it")
