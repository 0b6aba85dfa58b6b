"""Sources of mounts that are made ready on the host before a start: parts of volumes, and trees without their mounts.

A runtime program binds by name, and from a mount namespace of its own, where a descriptor of ours is of no use. So what
was opened is first mounted in the container's directory, where no container gets at it, and stays until the start.

- Containers write in volumes, so a part (`volume-subpath`) is opened once, inside its volume: a name that is looked up
  again could mean something else by then.
- crun 1.8 binds what is mounted below as well, also where it is told not to.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path

from lamina.containers.container import Container
from lamina.containers.record import MountPoint
from lamina.errors import InvalidInput
from lamina.linux.mounts import (
    AT_EMPTY_PATH,
    MS_PRIVATE,
    MS_SLAVE,
    OPEN_TREE_CLONE,
    mount_setattr,
    mountinfo,
    move_mount,
    open_tree,
)
from lamina.linux.openat2 import RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, openat2
from lamina.snapshots.mountroot import unmount_all


def needs_staging(point: MountPoint) -> bool:
    """Return whether a bind or volume is to be mounted from what `stage` makes ready."""
    return bool(point.subpath) or not point.recursive


def stage(container: Container, point: MountPoint, source: str) -> Path:
    """Mount what `point` means by the path `source` in the container's directory, until `clear`, and return where.

    Raises InvalidInput for a part that is not in its volume, and OSError.
    """
    opened = open_part(point, source) if point.subpath else os.open(source, os.O_PATH | os.O_CLOEXEC)
    try:
        where = _make_place(_folder(container), stat.S_ISDIR(os.fstat(opened).st_mode))
        _mount(opened, where, point)
    except FileNotFoundError as error:  # it was removed since it was opened
        raise _refused(point, error) from None
    finally:
        os.close(opened)
    return where


def open_part(point: MountPoint, volume: str) -> int:
    """Return a descriptor (O_PATH) of the folder or file that `point` names inside the directory `volume`.

    Symlinks are followed as long as they stay inside; absolute ones and those that lead out are refused, as with
    Docker. Raises InvalidInput.
    """
    root = os.open(volume, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return openat2(root, point.subpath or ".", os.O_PATH, resolve=RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
    except (OSError, ValueError) as error:
        raise _refused(point, error) from None
    finally:
        os.close(root)


def _mount(opened: int, where: Path, point: MountPoint) -> None:
    tree = open_tree("", OPEN_TREE_CLONE | AT_EMPTY_PATH, dirfd=opened)
    try:
        kind = point.propagation.removeprefix("r")
        if kind != "shared":
            # Not left as a peer of its source: then nothing that happens to it can reach the source.
            mode = MS_SLAVE if kind == "slave" else MS_PRIVATE
            mount_setattr("", dirfd=tree, flags=AT_EMPTY_PATH, propagation=mode)
        move_mount(tree, where)
    finally:
        os.close(tree)


def clear(container: Container) -> None:
    """Unmount what was staged, also by an engine that died meanwhile. A second call does nothing."""
    folder = _folder(container)
    if not folder.is_dir():
        return
    for place in folder.iterdir():
        unmount_all(place)
    if any(Path(point.target).is_relative_to(folder.resolve()) for point in mountinfo()):
        return  # what is below is the volume's: better left than lost
    shutil.rmtree(folder)


def _refused(point: MountPoint, error: OSError | ValueError) -> InvalidInput:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    if isinstance(error, OSError) and error.errno == errno.EXDEV:
        reason = "path concatenation escapes the base directory"
    return InvalidInput(
        f"cannot mount {point.subpath!r} of volume {point.name}: {reason}",
        advice="A subpath names a folder or file inside the volume, and no symlink on the way leads out",
        subpath=point.subpath,
    )


def _folder(container: Container) -> Path:
    return container.directory / "parts"


def _make_place(folder: Path, directory: bool) -> Path:
    """A new place to mount on: a file for a file."""
    folder.mkdir(mode=0o700, exist_ok=True)
    place = folder / str(len(os.listdir(folder)))
    place.mkdir() if directory else place.touch()
    return place
