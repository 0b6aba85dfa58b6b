"""`cp` and `export`: files of a container as tar archives, in and out.

What is seen is the container's root with its volumes and binds, running or not; not its /proc, /dev and tmpfs, as with
Docker. The container may change its files meanwhile: the kernel keeps every lookup below the root (openat2).
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path
from typing import IO, Any, cast

from lamina.cancellation import NEVER, Cancellation, CheckedWriter
from lamina.containers.container import Container
from lamina.containers.container_paths import Place, located, unreachable
from lamina.containers.container_view import mounted_root
from lamina.containers.live_tars import seen_inside, write_directory, write_file
from lamina.containers.rooms import Rooms
from lamina.errors import Forbidden, InvalidInput
from lamina.formats.times import format_time
from lamina.layers.decompress import decompressed
from lamina.layers.tar.source import Readable
from lamina.layers.tar.writer import TarWriter
from lamina.layers.unpack import Style, unpack
from lamina.linux.processes import making_files_of
from lamina.sandbox.runtime_spec import resolve_user

# Go's os.FileMode, which the API passes on as a number (io/fs/fs.go)
_KINDS = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
}
_BITS = {stat.S_ISUID: 1 << 23, stat.S_ISGID: 1 << 22, stat.S_ISVTX: 1 << 20}
_BUFFER = 256 * 1024


@dataclass(frozen=True, slots=True)
class PathChange:
    """A file that a container changed in its image: `kind` is "A" added, "C" changed, "D" deleted."""

    path: str
    kind: str


@dataclass(frozen=True, slots=True)
class PathStat:
    """A path in a container: `size` in bytes, `mode` as Go's os.FileMode, `mtime` RFC 3339.

    `link_target` is where a symlink leads in the end, from the root on; "" for other kinds.
    """

    name: str
    size: int
    mode: int
    mtime: str
    link_target: str = ""


def stat_path(container: Container, rooms: Rooms, path: str, reference: str = "") -> PathStat:
    """Return what is at `path`. Errors call the container by its `reference`.

    A symlink at its end is not followed, unless the path ends in "/" or "/.". Raise NotFound, InvalidInput.
    """
    with located(container, rooms, path, reference) as place:
        return _stat(place, path)


def _stat(place: Place, path: str) -> PathStat:
    status = place.status
    return PathStat(_base(path), status.st_size, go_mode(status.st_mode), format_time(status.st_mtime_ns), place.link)


def go_mode(mode: int) -> int:
    """Return a mode as Go's os.FileMode."""
    bits = sum(bit for flag, bit in _BITS.items() if mode & flag)
    return (mode & 0o777) | _KINDS.get(stat.S_IFMT(mode), 0) | bits


def get_archive(
    container: Container,
    rooms: Rooms,
    path: str,
    sink: IO[bytes],
    reference: str = "",
    cancellation: Cancellation = NEVER,
) -> PathStat:
    """Write what is at `path` to `sink` as a tar whose top is named like the path's last part; return what it is.

    What is mounted below `path` is in it. Errors call the container by its `reference`. Raise NotFound.
    """
    with located(container, rooms, path, reference) as place:
        buffered = BufferedWriter(cast(Any, sink), _BUFFER)
        tar = TarWriter(CheckedWriter(buffered, cancellation))
        writer = seen_inside(tar, container.ids)
        if stat.S_ISDIR(place.status.st_mode):
            directory = _reopened(place, path, container.name)
            try:
                write_directory(directory, _base(path), writer)
            finally:
                os.close(directory)
        else:
            write_file(place.directory, place.name, _base(path), writer)
        tar.close()
        buffered.flush()
        buffered.detach()
        return _stat(place, path)


def put_archive(
    container: Container,
    rooms: Rooms,
    path: str,
    stream: Readable,
    reference: str = "",
    *,
    no_overwrite: bool = False,
    copy_owner: bool = False,
) -> None:
    """Unpack the tar `stream`, compressed or not, into the directory `path`.

    `no_overwrite` refuses to put a directory where a file is and the other way round; `copy_owner` gives all files to
    the user that the container names, if it names one (moby daemon/archive_tarcopyoptions_unix.go). Errors call the
    container by its `reference`. Raise NotFound, InvalidInput when it is no directory, Forbidden where it is read-only.
    """
    with located(container, rooms, path, reference, writing=True) as place:
        if not stat.S_ISDIR(place.status.st_mode):
            raise InvalidInput("extraction point is not a directory", path=path)
        owner = None
        if copy_owner and container.record.config.user:
            user = resolve_user(Path(f"/proc/self/fd/{place.root}"), container.record.config.user, ()).user
            owner = user.uid, user.gid
        directory, ids = _reopened(place, path, container.name), container.ids
        try:
            with making_files_of(ids.root if ids else None):
                unpack(decompressed(stream), directory, Style.PLAIN, owner=owner, keep_kinds=no_overwrite, ids=ids)
        except OSError as error:
            if error.errno == errno.EROFS:
                raise Forbidden("mounted volume is marked read-only", path=path) from None
            raise
        finally:
            os.close(directory)


def export(container: Container, rooms: Rooms, sink: IO[bytes], cancellation: Cancellation = NEVER) -> None:
    """Write the whole root file system, without what is mounted in it, to `sink`."""
    with mounted_root(container, rooms) as root:
        buffered = BufferedWriter(cast(Any, sink), _BUFFER)
        tar = TarWriter(CheckedWriter(buffered, cancellation))
        directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            write_directory(directory, "", seen_inside(tar, container.ids))
        finally:
            os.close(directory)
        tar.close()
        buffered.flush()
        buffered.detach()


def _base(path: str) -> str:
    """Return the name of the archive's top, as Go's filepath.Base has it: "." for "dir/.", "/" for the root."""
    if path.rstrip("/") == "." or path.rstrip("/").endswith("/."):
        return "."
    return posixpath.basename(posixpath.normpath(posixpath.join("/", path))) or "/"


def _reopened(place: Place, path: str, called: str) -> int:
    """Return the directory of `place`, to be read; never through a symlink that the container put in its place
    meanwhile."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(place.name or ".", flags, dir_fd=place.directory)
    except OSError as error:
        raise unreachable(error, path, called) from None
