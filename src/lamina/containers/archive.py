"""`cp` and `export`: files of a container as tar archives, in and out.

What is seen is the container's root with its volumes and binds, running or not; not its /proc, /dev and tmpfs, as with
Docker. The container may change its files meanwhile: the kernel keeps every lookup below the root (openat2).
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from lamina.containers import parts
from lamina.containers.container import Container
from lamina.containers.files import NAMES
from lamina.containers.record import MountPoint
from lamina.containers.rooms import Rooms
from lamina.containers.specs import resolve_user
from lamina.containers.tarring import write_directory, write_file
from lamina.errors import Forbidden, InvalidInput, LaminaError, NotFound
from lamina.formats.times import format_time
from lamina.layers.decompress import decompressed
from lamina.layers.tar.writer import TarWriter
from lamina.layers.unpack import Style, unpack
from lamina.linux.openat2 import openat2

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
class _Place:
    """A path in a container: its directory's descriptor and its name there; "" names the directory itself."""

    directory: int
    name: str
    status: os.stat_result


def stat_path(container: Container, rooms: Rooms, path: str) -> dict[str, Any]:
    """What is at `path`: name, size, mode as Go has it, mtime, linkTarget. A symlink at its end is not followed,
    unless the path ends in "/" or "/.". Raises NotFound."""
    with _located(container, rooms, path) as place:
        status = place.status
        target = ""
        if stat.S_ISLNK(status.st_mode):
            try:
                written = os.readlink(place.name, dir_fd=place.directory)
            except OSError as error:  # the container put something else there since it was looked at
                raise _unreachable(error, path) from None
            target = posixpath.normpath(posixpath.join("/", posixpath.dirname(path), written))
        return {
            "name": _base(path),
            "size": status.st_size,
            "mode": go_mode(status.st_mode),
            "mtime": format_time(status.st_mtime_ns),
            "linkTarget": target,
        }


def go_mode(mode: int) -> int:
    """A mode as Go's os.FileMode."""
    bits = sum(bit for flag, bit in _BITS.items() if mode & flag)
    return (mode & 0o777) | _KINDS.get(stat.S_IFMT(mode), 0) | bits


def get_archive(container: Container, rooms: Rooms, path: str, sink: BinaryIO) -> None:
    """Writes what is at `path` to `sink` as a tar whose top is named like the path's last part. Raises NotFound."""
    with _located(container, rooms, path) as place:
        buffered = BufferedWriter(cast(Any, sink), _BUFFER)
        writer = TarWriter(buffered)
        if stat.S_ISDIR(place.status.st_mode):
            directory = _reopened(place, path)
            try:
                write_directory(directory, _base(path), writer)
            finally:
                os.close(directory)
        else:
            write_file(place.directory, place.name, _base(path), writer)
        writer.close()
        buffered.flush()
        buffered.detach()


def put_archive(
    container: Container,
    rooms: Rooms,
    path: str,
    stream: BinaryIO,
    *,
    no_overwrite: bool = False,
    copy_owner: bool = False,
) -> None:
    """Unpacks the tar `stream`, compressed or not, into the directory `path`.

    `no_overwrite` refuses to put a directory where a file is and the other way round; `copy_owner` gives all files to
    the container's user. Raises NotFound, InvalidInput when it is no directory, Forbidden where it is read-only.
    """
    with _located(container, rooms, path.rstrip("/") + "/", writing=True) as place:
        if not stat.S_ISDIR(place.status.st_mode):
            raise InvalidInput("extraction point is not a directory", path=path)
        owner = None
        if copy_owner:
            with _root(container, rooms) as root:
                user = resolve_user(root, container.record.config.user, ()).user
            owner = user.uid, user.gid
        directory = _reopened(place, path)
        try:
            unpack(decompressed(stream), directory, Style.PLAIN, owner=owner, keep_kinds=no_overwrite)
        except OSError as error:
            if error.errno == errno.EROFS:
                raise Forbidden("mounted volume is marked read-only", path=path) from None
            raise
        finally:
            os.close(directory)


def export(container: Container, rooms: Rooms, sink: BinaryIO) -> None:
    """Writes the whole root file system, without what is mounted in it, to `sink`."""
    snapshot = rooms.snapshots.get(container.id)
    root = snapshot.mount()
    try:
        buffered = BufferedWriter(cast(Any, sink), _BUFFER)
        writer = TarWriter(buffered)
        directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            write_directory(directory, "", writer)
        finally:
            os.close(directory)
        writer.close()
        buffered.flush()
        buffered.detach()
    finally:
        snapshot.unmount()


def _base(path: str) -> str:
    """The name of the archive's top, as Go's filepath.Base has it: "." for "dir/.", "/" for the root."""
    stripped = path.rstrip("/")
    return posixpath.basename(stripped) or "/"


@contextmanager
def _root(container: Container, rooms: Rooms) -> Iterator[Path]:
    """The root directory."""
    snapshot = rooms.snapshots.get(container.id)
    root = snapshot.mount()
    try:
        yield root
    finally:
        snapshot.unmount()


@contextmanager
def _located(container: Container, rooms: Rooms, path: str, *, writing: bool = False) -> Iterator[_Place]:
    """The place of `path`; the way there is followed inside the root, the last part only when a "/" is behind it."""
    whole = path.endswith(("/", "/.")) or path in ("", ".")
    if "\0" in path:
        raise InvalidInput("a path in a container holds no NUL", path=path)
    clean = posixpath.normpath(posixpath.join("/", path))
    point = _covering(container, clean)
    if writing and point is None and container.record.host_config.readonly_rootfs:
        raise Forbidden("container rootfs is marked read-only", path=path)
    if writing and point is not None and not point.rw:
        raise Forbidden("mounted volume is marked read-only", path=path)
    with _root(container, rooms) as root, _naming(container):
        try:
            root_fd, below = _open_mounted(point, clean) if point is not None else (_open_path(root), clean)
        except OSError as error:
            raise _unreachable(error, path) from None
        try:
            yield from _open_place(root_fd, posixpath.normpath(below), whole, path)
        finally:
            os.close(root_fd)


@contextmanager
def _naming(container: Container) -> Iterator[None]:
    """What is not found inside is told with the container's name, as docker does."""
    try:
        yield
    except NotFound as error:
        raise NotFound(f"{error.message} {container.name}", **error.facts) from None


def _open_mounted(point: MountPoint, path: str) -> tuple[int, str]:
    """The directory that `point` mounts, or the one its file is in, and where `path` is below it."""
    source, subpath = point.source, point.subpath.strip("/")
    mounted = parts.open_part(point, source) if subpath else os.open(source, os.O_PATH | os.O_CLOEXEC)
    if stat.S_ISDIR(os.fstat(mounted).st_mode):
        return mounted, "/" + posixpath.relpath(path, point.destination)
    os.close(mounted)
    if not subpath:
        return _open_path(posixpath.dirname(source)), "/" + posixpath.basename(source)
    parent = msgspec.structs.replace(point, subpath=posixpath.dirname(subpath))
    return parts.open_part(parent, source), "/" + posixpath.basename(subpath)


def _open_path(folder: str | Path) -> int:
    return os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def _open_place(root_fd: int, below: str, whole: bool, path: str) -> Iterator[_Place]:
    head, name = (below, "") if whole or below == "/" else posixpath.split(below)
    try:
        directory = openat2(root_fd, head, os.O_PATH | (0 if whole else os.O_DIRECTORY))
    except OSError as error:
        raise _unreachable(error, path) from None
    try:
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False) if name else os.fstat(directory)
        except OSError as error:
            raise _unreachable(error, path) from None
        yield _Place(directory, name, status)
    finally:
        os.close(directory)


def _unreachable(error: OSError, path: str) -> LaminaError:
    """What a path that cannot be opened is to whoever named it."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NotFound(f"Could not find the file {path} in container", path=path)
    return InvalidInput(f"cannot open a path in the container: {error.strerror}", path=path)


def _reopened(place: _Place, path: str) -> int:
    """The directory of `place`, to be read; never through a symlink that the container put in its place meanwhile."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(place.name or ".", flags, dir_fd=place.directory)
    except OSError as error:
        raise _unreachable(error, path) from None


def _covering(container: Container, path: str) -> MountPoint | None:
    """The mount under which `path` lies."""
    own = [MountPoint("bind", f"/etc/{name}", source=str(container.directory / name)) for name in NAMES]
    points = (*container.record.mounts, *(point for point in own if os.path.exists(point.source)))
    above = [p for p in points if p.source and f"{path}/".startswith(f"{p.destination}/")]
    return max(above, key=lambda point: len(point.destination), default=None)
