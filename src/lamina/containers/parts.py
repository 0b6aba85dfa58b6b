"""Parts of volumes (`--mount volume-subpath=…`). Containers write in volumes, so a part is opened once, inside its
volume, and what was opened is mounted: a name that is looked up again could mean something else by then.

A runtime program binds by name, and from a mount namespace of its own, where a descriptor of ours is of no use. So the
opened part is first mounted in the container's directory, where no container gets at it, and stays until the start.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from lamina.containers.container import Container
from lamina.containers.record import MountPoint
from lamina.errors import InvalidInput
from lamina.linux.mounts import AT_EMPTY_PATH, OPEN_TREE_CLONE, mountinfo, move_mount, open_tree
from lamina.linux.openat2 import RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, openat2
from lamina.snapshots.mountroot import unmount_all


def open_part(point: MountPoint, volume: str) -> int:
    """A descriptor (O_PATH) of the folder or file that `point` names inside the directory `volume`.

    Symlinks are followed as long as they stay inside; absolute ones and those that lead out are refused, as with
    Docker. Raises InvalidInput.
    """
    root = os.open(volume, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    part = point.subpath.lstrip("/") or "."
    try:
        return openat2(root, part, os.O_PATH, resolve=RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
    except (OSError, ValueError) as error:
        raise _refused(point, error) from None
    finally:
        os.close(root)


def stage(container: Container, point: MountPoint, volume: str) -> Path:
    """Mounts the part that `point` names in the container's directory, until `clear`; gives where.

    Raises InvalidInput, and OSError.
    """
    part = open_part(point, volume)
    try:
        where = _make_place(_folder(container), stat.S_ISDIR(os.fstat(part).st_mode))
        _mount(part, where)
    except FileNotFoundError as error:  # it was removed since it was opened
        raise _refused(point, error) from None
    finally:
        os.close(part)
    return where


def _mount(opened: int, where: Path) -> None:
    tree = open_tree("", OPEN_TREE_CLONE | AT_EMPTY_PATH, dirfd=opened)
    try:
        move_mount(tree, where)
    finally:
        os.close(tree)


def clear(container: Container) -> None:
    """Takes away what was staged, also by an engine that died meanwhile. A second call does nothing."""
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
    return InvalidInput(
        f"cannot mount {point.subpath!r} of volume {point.name}: {reason}",
        advice="A subpath names a folder or file inside the volume, and no symlink on the way leads out",
    )


def _folder(container: Container) -> Path:
    return container.directory / "parts"


def _make_place(folder: Path, directory: bool) -> Path:
    """A new place to mount on: a file for a file."""
    folder.mkdir(mode=0o700, exist_ok=True)
    place = folder / str(len(os.listdir(folder)))
    place.mkdir() if directory else place.touch()
    return place
