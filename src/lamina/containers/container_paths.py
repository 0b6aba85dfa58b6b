"""Where a path of a container is: in its root, or in the volume or bind that is mounted over that part of it.

Symbolic links are the container's own: they are followed one by one, as the container would see them, so one may lead
into a volume or out of it again. What is opened in the end is opened by the kernel, which stays below the root whatever
the container changes meanwhile (openat2).
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lamina.containers.container import Container
from lamina.containers.rooms import Rooms
from lamina.errors import Forbidden, InvalidInput, LaminaError, NotFound
from lamina.linux.paths import follow, openat2
from lamina.sandbox import mounts
from lamina.sandbox.etc_files import NAMES
from lamina.sandbox.spec import MountPoint


@dataclass(frozen=True, slots=True)
class Place:
    """A path in a container: its directory's descriptor and its name there; "" names the directory itself.

    `link` is where the name leads in the end if it is a symbolic link, from the container's root on; else "".
    """

    directory: int
    name: str
    status: os.stat_result
    link: str


class Paths:
    """The paths of one container, whose root is mounted at `root`."""

    def __init__(self, container: Container, root: Path) -> None:
        self._root = root
        own = [MountPoint("bind", f"/etc/{name}", source=str(container.directory / name)) for name in NAMES]
        points = (*container.record.mounts, *(point for point in own if os.path.exists(point.source)))
        self._points = [point for point in points if point.source]

    def resolve(self, path: str, *, last: bool) -> str:
        """Return `path` from the root on, free of symbolic links; one at its end is followed if `last`.

        Parts that are not there are taken as they are written. Raise InvalidInput where links go round in a circle.
        """
        return "/" + follow(path, lambda at, more: self._link(f"/{at}") if last or more else "")

    def _link(self, path: str) -> str:
        """Return the text of the symbolic link `path`, "" for anything else."""
        point = self.covering(path)
        if point is not None and point.destination == path:
            return ""
        with suppress(OSError):  # it is not there, or no link
            root, below = self.open_root(point, path)
            try:
                link = openat2(root, below, os.O_PATH | os.O_NOFOLLOW)
                try:
                    return os.readlink("", dir_fd=link)
                finally:
                    os.close(link)
            finally:
                os.close(root)
        return ""

    def covering(self, path: str) -> MountPoint | None:
        """Return the mount under which `path` lies."""
        above = [p for p in self._points if f"{path}/".startswith(f"{p.destination}/")]
        return max(above, key=lambda point: len(point.destination), default=None)

    def open_root(self, point: MountPoint | None, path: str) -> tuple[int, str]:
        """Open the directory that `point` mounts, or the one its file is in; return it and where `path` is below it.

        None stands for the container's root.
        """
        if point is None:
            return _open_directory(self._root), path
        source, subpath = point.source, point.subpath.strip("/")
        mounted = mounts.open_part(point, source) if subpath else os.open(source, os.O_PATH | os.O_CLOEXEC)
        if stat.S_ISDIR(os.fstat(mounted).st_mode):
            return mounted, posixpath.normpath("/" + posixpath.relpath(path, point.destination))
        os.close(mounted)
        if not subpath:
            return _open_directory(posixpath.dirname(source)), "/" + posixpath.basename(source)
        parent = msgspec.structs.replace(point, subpath=posixpath.dirname(subpath))
        return mounts.open_part(parent, source), "/" + posixpath.basename(subpath)


@contextmanager
def mounted_root(container: Container, rooms: Rooms) -> Iterator[Path]:
    """Provide the container's root directory, mounted meanwhile."""
    snapshot = rooms.snapshots.get(container.id)
    root = snapshot.mount()
    try:
        yield root
    finally:
        snapshot.unmount()


@contextmanager
def located(container: Container, rooms: Rooms, path: str, *, writing: bool = False) -> Iterator[Place]:
    """Open the place of `path`; a symbolic link at its end is followed only when a "/" is behind it.

    Raise NotFound, Forbidden for `writing` to what is mounted read-only, InvalidInput for a path that is none.
    """
    if "\0" in path:
        raise InvalidInput("a path in a container holds no NUL", path=path)
    whole = path.endswith(("/", "/.")) or path in ("", ".")
    with mounted_root(container, rooms) as root, _naming(container):
        paths = Paths(container, root)
        clean = paths.resolve(posixpath.normpath(posixpath.join("/", path)), last=whole)
        point = paths.covering(clean)
        if writing:
            _check_writable(container, point, path)
        try:
            root_fd, below = paths.open_root(point, clean)
        except OSError as error:
            raise unreachable(error, path) from None
        try:
            with _opened(root_fd, below, whole, path) as (directory, name, status):
                if whole and not writing and not stat.S_ISDIR(status.st_mode):
                    raise InvalidInput(f"{path} is not a directory in the container", path=path)
                link = paths.resolve(clean, last=True) if stat.S_ISLNK(status.st_mode) else ""
                yield Place(directory, name, status, link)
        finally:
            os.close(root_fd)


def unreachable(error: OSError, path: str) -> LaminaError:
    """Return what a path that cannot be opened is to whoever named it."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NotFound(f"Could not find the file {path} in container", path=path)
    return InvalidInput(f"cannot open a path in the container: {error.strerror}", path=path)


def _check_writable(container: Container, point: MountPoint | None, path: str) -> None:
    if point is None and container.record.host_config.readonly_rootfs:
        raise Forbidden("container rootfs is marked read-only", path=path)
    if point is not None and not point.rw:
        raise Forbidden("mounted volume is marked read-only", path=path)


@contextmanager
def _naming(container: Container) -> Iterator[None]:
    """Provide what is not found inside is told with the container's name, as docker does."""
    try:
        yield
    except NotFound as error:
        raise NotFound(f"{error.message} {container.name}", **error.facts) from None


def _open_directory(folder: str | Path) -> int:
    return os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


@contextmanager
def _opened(root_fd: int, below: str, whole: bool, path: str) -> Iterator[tuple[int, str, os.stat_result]]:
    head, name = (below, "") if whole or below == "/" else posixpath.split(below)
    try:
        directory = openat2(root_fd, head, os.O_PATH | (0 if whole else os.O_DIRECTORY))
    except OSError as error:
        raise unreachable(error, path) from None
    try:
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False) if name else os.fstat(directory)
        except OSError as error:
            raise unreachable(error, path) from None
        yield directory, name, status
    finally:
        os.close(directory)
