"""Where a path of a container is: in its root, or in the volume or bind that is mounted over that part of it.

Symbolic links are the container's own: they lead where the container sees them lead. What is opened is opened by the
kernel, which stays below the root whatever the container changes meanwhile (openat2).
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lamina.containers.container import Container
from lamina.containers.container_view import container_view
from lamina.containers.rooms import Rooms
from lamina.errors import Forbidden, InvalidInput, LaminaError, NotFound
from lamina.linux.mounts import mount_id
from lamina.linux.paths import follow, link_text, openat2


@dataclass(frozen=True, slots=True)
class Place:
    """A path in a container: its directory's descriptor and its name there; "" names the directory itself.

    `link` is where the name leads in the end if it is a symbolic link, from the container's root on; else "". `root`
    is the descriptor of that root.
    """

    root: int
    directory: int
    name: str
    status: os.stat_result
    link: str


@contextmanager
def located(
    container: Container, rooms: Rooms, path: str, reference: str = "", *, writing: bool = False
) -> Iterator[Place]:
    """Open the place of `path`; a symbolic link at its end is followed when a "/" is behind it, or for `writing`.

    Errors call the container by its `reference`. Raise NotFound, Forbidden for `writing` to what is mounted read-only,
    InvalidInput for a malformed path.
    """
    if "\0" in path:
        raise InvalidInput("a path in a container holds no NUL", path=path)
    whole = writing or path.endswith(("/", "/.")) or path in ("", ".")
    called = reference or container.name
    with container_view(container, rooms) as root:
        clean = resolved(root, posixpath.normpath(posixpath.join("/", path)), last=whole)
        with _opened(root, clean, whole, path, called) as (directory, name, status):
            if writing:
                _check_writable(container, root, directory, path)
            elif whole and not stat.S_ISDIR(status.st_mode):
                raise InvalidInput(f"{path}: not a directory", path=path)
            link = resolved(root, clean, last=True) if stat.S_ISLNK(status.st_mode) else ""
            yield Place(root, directory, name, status, link)


def resolved(root: int, path: str, *, last: bool) -> str:
    """Return `path` from the root on, free of symbolic links; one at its end is followed if `last`.

    Parts that are not there are taken as they are written. Raise InvalidInput where links go round in a circle.
    """
    return "/" + follow(path, lambda place, more: link_text(root, place) if last or more else "")


def unreachable(error: OSError, path: str, called: str) -> LaminaError:
    """Return the error for a path that cannot be opened in the container which the caller `called` so."""
    if error.errno == errno.ENOENT:
        return NotFound(f"Could not find the file {path} in container {called}", path=path)
    if error.errno == errno.ENOTDIR:
        return InvalidInput(f"{path}: not a directory", path=path)
    return InvalidInput(f"cannot open a path in the container: {error.strerror}", path=path)


def _check_writable(container: Container, root: int, place: int, path: str) -> None:
    if container.record.host_config.readonly_rootfs and mount_id(place) == mount_id(root):
        raise Forbidden("container rootfs is marked read-only", path=path)
    if os.statvfs(f"/proc/self/fd/{place}").f_flag & os.ST_RDONLY:
        raise Forbidden("mounted volume is marked read-only", path=path)


@contextmanager
def _opened(root: int, below: str, whole: bool, path: str, called: str) -> Iterator[tuple[int, str, os.stat_result]]:
    head, name = (below, "") if whole or below == "/" else posixpath.split(below)
    try:
        directory = openat2(root, head, os.O_PATH | (0 if whole else os.O_DIRECTORY))
    except OSError as error:
        raise unreachable(error, path, called) from None
    try:
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False) if name else os.fstat(directory)
        except OSError as error:
            raise unreachable(error, path, called) from None
        yield directory, name, status
    finally:
        os.close(directory)
