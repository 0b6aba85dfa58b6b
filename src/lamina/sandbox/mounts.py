"""The mounts of a sandbox, from what was worked out at its creation to what the runtime program binds.

A runtime program binds by name, and from a mount namespace of its own, where a descriptor of ours is of no use. So some
sources are first mounted in the sandbox's folder on the host, where no container reaches them, and stay until the
start:

- Containers write in volumes, so a part (`volume-subpath`) is opened once, inside its volume: a name that is looked up
  again could mean something else by then.
- crun 1.8 binds what is mounted below as well, also where it is told not to.
- Runtime programs make only the top of a read-only bind read-only, unless they know the option `rro`. A copy of the
  tree whose every mount is read-only stays so in whatever is bound from it.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from lamina.errors import InvalidInput, Unsupported
from lamina.linux.files import usual_directory
from lamina.linux.mounts import (
    AT_EMPTY_PATH,
    AT_RECURSIVE,
    MNT_DETACH,
    MOUNT_ATTR_RDONLY,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_SLAVE,
    OPEN_TREE_CLONE,
    mount,
    mount_of,
    mount_setattr,
    mountinfo,
    move_mount,
    open_tree,
    umount2,
)
from lamina.linux.paths import RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, openat2
from lamina.linux.user_namespaces import UserNamespace
from lamina.runtime.spec import AnyMount, BindMount, TmpfsMount
from lamina.sandbox.spec import MountPoint, SandboxSpec
from lamina.snapshots.mounts import unmount_all
from lamina.volumes.volumes import Volumes

_DEFAULT_PROPAGATION = "rprivate"
_NO_SOURCE = 'invalid mount config for type "bind": bind source path does not exist'


def runtime_mount(point: MountPoint, spec: SandboxSpec, volumes: Volumes) -> AnyMount:
    """Return `point` as the runtime mounts it in the sandbox of `spec`, which uses a volume from now on.

    Sources that need it are mounted in the sandbox's folder until `clear_staged`. Raise InvalidInput for a source
    that is missing or cannot do what is asked of it, Unsupported and OSError.
    """
    if point.type == "tmpfs":
        return TmpfsMount(point.destination, point.options)
    source = point.source
    if point.type == "volume":
        source = str(volumes.mount(point.name, spec.id))
    elif not os.path.lexists(source):
        _make_source(point, spec.userns)
    propagation = effective_propagation(point)
    if _needs_staging(point):
        source = str(_stage(spec.folder, point, source))
    return BindMount(source, point.destination, not point.rw, propagation, point.recursive, idmapped=point.idmapped)


def _make_source(point: MountPoint, userns: UserNamespace | None) -> None:
    if not point.create_source:
        raise InvalidInput(f"{_NO_SOURCE}: {point.source}", path=point.source)
    for made in usual_directory(Path(point.source)):
        if userns is not None:
            os.chown(made, *userns.ids.root)


def effective_propagation(point: MountPoint) -> str:
    """Return the propagation of `point`. A source that cannot propagate stays private if no request asked for more.

    Rule: mount_namespaces(7); moby daemon/oci_linux.go, withMounts. Raise InvalidInput where the source's mount cannot
    do what was asked for.
    """
    kind = point.propagation.removeprefix("r")
    if kind not in ("shared", "slave"):
        return point.propagation or _DEFAULT_PROPAGATION
    source = os.open(point.source, os.O_PATH | os.O_CLOEXEC)
    try:
        host = mount_of(source)
    finally:
        os.close(source)
    tags = {tag.partition(":")[0] for tag in host.tags}
    if "shared" in tags or (kind == "slave" and "master" in tags):
        return point.propagation
    if point.implied_slave:
        return _DEFAULT_PROPAGATION
    able = "a shared mount" if kind == "shared" else "a shared or slave mount"
    raise InvalidInput(f"path {point.source} is mounted on {host.target} but it is not {able}", path=point.source)


def _needs_staging(point: MountPoint) -> bool:
    read_only_below = not point.rw and not point.read_only_non_recursive
    return bool(point.subpath) or not point.recursive or read_only_below


def _stage(folder: Path, point: MountPoint, source: str) -> Path:
    """Mount what `point` means by the path `source` in `folder`, and return where."""
    try:
        tree = detached_mount(point, source)
    except FileNotFoundError as error:  # it was removed since it was opened
        raise _refused(point, error) from None
    try:
        place = _make_place(_staging(folder), stat.S_ISDIR(os.fstat(tree).st_mode))
        move_mount(tree, place)
    finally:
        os.close(tree)
    return place


def open_part(point: MountPoint, volume: str) -> int:
    """Return a descriptor (O_PATH) of the folder or file that `point` names inside the directory `volume`.

    Symlinks are followed as long as they stay inside; absolute ones and those that lead out are refused, as with
    Docker. Raise InvalidInput.
    """
    root = os.open(volume, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return openat2(root, point.subpath or ".", os.O_PATH, resolve=RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
    except (OSError, ValueError) as error:
        raise _refused(point, error) from None
    finally:
        os.close(root)


def detached_mount(point: MountPoint, source: str) -> int:
    """Return what `point` means by the path `source` as a mount that is attached nowhere.

    Raise InvalidInput for a part that is not there, and OSError.
    """
    opened = open_part(point, source) if point.subpath else os.open(source, os.O_PATH | os.O_CLOEXEC)
    try:
        return _detached(opened, point)
    finally:
        os.close(opened)


def _detached(opened: int, point: MountPoint) -> int:
    below = 0 if point.subpath or not point.recursive else AT_RECURSIVE
    tree = open_tree("", OPEN_TREE_CLONE | AT_EMPTY_PATH | below, dirfd=opened)
    try:
        if not point.rw:
            _make_read_only(tree, point)
        kind = point.propagation.removeprefix("r")
        if kind != "shared":
            # Not left as a peer of its source: then nothing that happens to it can reach the source.
            mode = MS_SLAVE if kind == "slave" else MS_PRIVATE
            mount_setattr("", dirfd=tree, flags=AT_EMPTY_PATH | AT_RECURSIVE, propagation=mode)
        return tree
    except BaseException:
        os.close(tree)
        raise


def _make_read_only(tree: int, point: MountPoint) -> None:
    below = 0 if point.read_only_non_recursive else AT_RECURSIVE
    try:
        mount_setattr("", dirfd=tree, flags=AT_EMPTY_PATH | below, attributes=MOUNT_ATTR_RDONLY)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        if point.read_only_force_recursive:
            raise Unsupported(
                f"rro is not supported: failed to call mount_setattr: {error.strerror} (kernel is older than 5.12?)",
                path=point.destination,
            ) from None


def _refused(point: MountPoint, error: OSError | ValueError) -> InvalidInput:
    if not point.subpath:
        return InvalidInput(f"{_NO_SOURCE}: {point.source}", path=point.source)
    reason = error.strerror if isinstance(error, OSError) else str(error)
    if isinstance(error, OSError) and error.errno == errno.EXDEV:
        reason = "path concatenation escapes the base directory"
    return InvalidInput(
        f"cannot mount {point.subpath!r} of {'image' if point.image else 'volume'} {point.name}: "
        f"cannot access path {point.subpath}: {reason}",
        advice="A subpath names a folder or file inside, and no symlink on the way leads out",
        subpath=point.subpath,
    )


def _staging(folder: Path) -> Path:
    return folder / "parts"


def _make_place(staging: Path, directory: bool) -> Path:
    """Make a new place to mount on: a file for a file."""
    staging.mkdir(mode=0o700, exist_ok=True)
    place = staging / str(len(os.listdir(staging)))
    place.mkdir() if directory else place.touch()
    return place


def clear_staged(folder: Path) -> None:
    """Unmount what was staged in `folder`, also by an engine that died meanwhile. A second call does nothing."""
    staging = _staging(folder)
    if not staging.is_dir():
        return
    for place in staging.iterdir():
        unmount_all(place)
    if any(Path(point.target).is_relative_to(staging.resolve()) for point in mountinfo()):
        return  # what is below is the volume's: better left than lost
    shutil.rmtree(staging)


def shared_memory(folder: Path) -> Path:
    """Return where the /dev/shm of a sandbox that shares its IPC namespace is mounted on the host."""
    return folder / "shm"


def mount_shared_memory(folder: Path, size: int) -> Path:
    """Mount a tmpfs of `size` bytes for /dev/shm, and return where.

    It lies on the host because a mount cannot be bound out of another namespace.
    """
    place = shared_memory(folder)
    place.mkdir(exist_ok=True, mode=0o700)
    mount("shm", place, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, f"mode=1777,size={size}")
    return place


def unmount_shared_memory(folder: Path) -> None:
    """Unmount what `mount_shared_memory` mounted. Nothing happens where it is not mounted."""
    with suppress(OSError):  # it is not mounted
        umount2(shared_memory(folder), MNT_DETACH)
