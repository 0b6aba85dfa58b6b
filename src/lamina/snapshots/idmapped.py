"""Overlayfs over layers whose owners are mapped: the container's root owns what the image's root owns.

Overlayfs itself cannot be an idmapped mount, but it stacks such mounts (Linux 5.19; its mount API takes them since
6.8). Files in the upper directory keep the owners that the container sees, so that `diff` and `commit` need not know of
the map.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from lamina.errors import Unsupported
from lamina.linux.mounts import MS_PRIVATE, detached_filesystem, idmapped_tree, mount, mount_of, move_mount
from lamina.linux.processes import making_files_of
from lamina.linux.syscalls import CLONE_NEWNS, unshare
from lamina.linux.user_namespaces import UserNamespace
from lamina.snapshots.mounts import Overlay, forget_volatile, unmount_all

PROBE = ".probe-"  # begins the names of folders in which something is tried
_CANNOT = (errno.EINVAL, errno.ENOSYS, errno.EPERM)
ADVICE = (
    "It takes ext4, xfs, btrfs or tmpfs and Linux 6.8, or 5.12 with the storage driver copy. Leave userns-remap out "
    "where that is not to be had"
)


def mount_idmapped(overlay: Overlay, target: Path, userns: UserNamespace) -> None:
    """Mount `overlay` at `target`, with the owners that `userns` gives its files.

    Raise Unsupported where this kernel or the file system cannot do that, and OSError.
    """
    forget_volatile(overlay)
    namespace = userns.open()
    try:
        with ThreadPoolExecutor(1, "lamina-mount") as thread:  # whose mount namespace goes with it
            new_mount = thread.submit(_stacked, overlay, target, namespace, userns.ids.root).result()
    finally:
        os.close(namespace)
    try:
        move_mount(new_mount, target)
    finally:
        os.close(new_mount)


def mount_mapped(directory: Path, userns: UserNamespace) -> None:
    """Mount `directory` over itself, with the owners that `userns` gives its files.

    Raise Unsupported where this kernel or the file system cannot do that, and OSError.
    """
    namespace = userns.open()
    try:
        tree = idmapped_tree(directory, namespace)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        raise _unsupported(error) from error
    finally:
        os.close(namespace)
    try:
        move_mount(tree, directory)
    finally:
        os.close(tree)


def _unsupported(error: OSError) -> Unsupported:
    return Unsupported(f"owners cannot be mapped here: {error.strerror}", advice=ADVICE)


def why_not(directory: Path, userns: UserNamespace, *, stacked: bool) -> str:
    """Return why the file system of `directory` cannot show mapped owners, or not be `stacked` then; "" where it can.

    Leave nothing behind: `choose` sweeps what a crash leaves.
    """
    with tempfile.TemporaryDirectory(prefix=PROBE, dir=directory) as home:
        parts = [Path(home, name) for name in ("lower", "diff", "work", "merged")]
        for part in parts:
            part.mkdir()
        lower, upper, work, merged = parts
        target = merged if stacked else lower
        try:
            if stacked:
                mount_idmapped(Overlay((lower,), upper, work), merged, userns)
            else:
                mount_mapped(lower, userns)
            with making_files_of(userns.ids.root):
                (target / "made").mkdir()
            return "" if (target / "made").stat().st_uid == userns.ids.root[0] else "owners are not mapped"
        except Unsupported as error:
            return error.message
        except OSError as error:
            return error.strerror or str(error)
        finally:
            unmount_all(target)


def _stacked(overlay: Overlay, target: Path, namespace: int, owner: tuple[int, int]) -> int:
    """Return a descriptor of the overlay, attached nowhere.

    Before Linux 6.15 overlayfs takes no directory of a mount that is attached nowhere. So the mapped copies are
    attached at `target`, one on the other, in a mount namespace of this thread's own. Overlayfs makes files in its
    work directory as whoever mounted it, which must be somebody that the map knows.
    """
    unshare(CLONE_NEWNS)
    _make_private(target)
    with ExitStack() as closing:

        def mapped(directory: Path) -> str:
            tree = idmapped_tree(directory, namespace)
            closing.callback(os.close, tree)
            move_mount(tree, target)
            return f"/proc/self/fd/{tree}"

        try:
            options = overlay.options(_once_per_snapshot(overlay, mapped))
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
            raise _unsupported(error) from error
        with making_files_of(owner):
            return detached_filesystem("overlay", options, overlay.attributes)


def _make_private(path: Path) -> None:
    """Keep what is mounted at `path` from now on from showing in other namespaces."""
    directory = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        mount("none", mount_of(directory, "thread-self").target, flags=MS_PRIVATE)
    finally:
        os.close(directory)


def _once_per_snapshot(overlay: Overlay, mapped: Callable[[Path], str]) -> Callable[[Path], str]:
    """Return `mapped` for all directories; upper and work, which must be on one mount, are below one copy."""
    if overlay.upper is None:
        return mapped
    folder = mapped(overlay.upper.parent)
    return lambda path: f"{folder}/{path.name}" if path in (overlay.upper, overlay.work) else mapped(path)
