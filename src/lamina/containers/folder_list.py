"""What is in a directory of a container, as it is now: a listing for people who look around.

The container may change its files meanwhile. The kernel keeps every lookup below the container's root (openat2).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from lamina.api.explorer import FileState, FolderEntry
from lamina.containers.container import Container
from lamina.containers.container_paths import located, resolved, unreachable
from lamina.containers.rooms import Rooms
from lamina.errors import InvalidInput, TooLarge
from lamina.formats.text import valid_unicode
from lamina.linux.paths import openat2
from lamina.linux.user_namespaces import IdMap

MOST = 100_000  # files of one directory
_TYPES = {
    stat.S_IFREG: "regular",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}


def list_folder(container: Container, rooms: Rooms, path: str, reference: str = "") -> list[FolderEntry]:
    """Return what is in the directory `path`, sorted by name. Symbolic links on the way to it are followed.

    Errors call the container by its `reference`. Raise NotFound, InvalidInput for no directory, TooLarge.
    """
    with located(container, rooms, f"{path.rstrip('/')}/", reference) as place:
        try:
            directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=place.directory)
        except OSError as error:
            raise unreachable(error, path, reference or container.name) from None
        try:
            names = os.listdir(directory)
            if len(names) > MOST:
                raise TooLarge(f"{path} has more than {MOST} files", path=path, limit=MOST)
            inside = os.path.normpath(f"/{path}")
            return list(_entries(directory, sorted(names), place.root, inside, container.ids))
        finally:
            os.close(directory)


def _entries(directory: int, names: list[str], root: int, inside: str, ids: IdMap | None) -> Iterator[FolderEntry]:
    for name in names:
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            target = os.readlink(name, dir_fd=directory) if stat.S_ISLNK(status.st_mode) else ""
        except OSError:
            continue  # it went meanwhile
        state = _state(status, target, ids)
        leads_to_one = bool(target) and _is_directory(root, f"{inside}/{name}")
        yield FolderEntry(name=valid_unicode(name), is_directory=state.type == "directory" or leads_to_one, state=state)


def _state(status: os.stat_result, target: str, ids: IdMap | None) -> FileState:
    uid, gid = (status.st_uid, status.st_gid) if ids is None else ids.to_inside(status.st_uid, status.st_gid)
    kind = _TYPES.get(stat.S_IFMT(status.st_mode), "")
    return FileState(
        type=kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=uid,
        gid=gid,
        size=status.st_size if kind == "regular" else 0,
        mtime_ns=status.st_mtime_ns,
        target=valid_unicode(target),
    )


def _is_directory(root: int, path: str) -> bool:
    """Return whether the symbolic link at `path` leads to a directory of the container."""
    try:
        os.close(openat2(root, resolved(root, path, last=True), os.O_PATH | os.O_DIRECTORY))
    except (OSError, InvalidInput):
        return False
    return True
