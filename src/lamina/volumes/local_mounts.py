"""Volumes of the local driver that are mounts (tmpfs, bind, nfs) while somebody uses them."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from lamina.errors import Unavailable
from lamina.linux.mounts import (
    MNT_DETACH,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
    mount,
    umount2,
)
from lamina.linux.syscalls import libc
from lamina.volumes.volume import VolumeMount

_BIND_FLAGS = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC


def mount_local(mount_call: VolumeMount, path: Path) -> None:
    """Mount what a volume's options ask for at `path`. Raise Unavailable."""
    source, kind, data = (os.fsencode(text) for text in (mount_call.device, mount_call.type, mount_call.data))
    try:
        libc("mount", source, os.fsencode(path), kind, mount_call.flags, data or None, filename=path)
        if mount_call.flags & MS_BIND and mount_call.flags & _BIND_FLAGS:
            _set_bind_flags(path, mount_call.flags & _BIND_FLAGS)
    except OSError as error:
        unmount_local(path)  # a bind without its flags must not be taken for a mounted volume
        reason = f"failed to mount local volume: mount {mount_call.device}: {error.strerror}"
        advice = f"This kernel knows no file system {mount_call.type!r}" if error.errno == errno.ENODEV else None
        raise Unavailable(reason, advice=advice) from error


def _set_bind_flags(path: Path, flags: int) -> None:
    """Add `flags` to the bind mount at `path`: a new bind has the flags of its source whatever is asked for (mount(2)).

    The source's flags are named again, because a remount drops those left out.
    """
    source_flags = os.statvfs(path).f_flag & _BIND_FLAGS  # ST_RDONLY and so on are the numbers of MS_RDONLY and so on
    mount("none", path, flags=MS_REMOUNT | MS_BIND | source_flags | flags)


def is_mounted(path: Path) -> bool:
    """Return whether something is mounted at `path`."""
    # os.path.ismount does not see a bind mount within one file system; the kernel's list does.
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return any(line.split(" ", 5)[4] == str(path) for line in lines)


def unmount_local(path: Path) -> None:
    """Unmount all at `path`. None may be missed: what follows may delete everything below it.

    Mounts below leave their peer groups first, or they would be unmounted where they were bound from, too.
    """
    with suppress(FileNotFoundError):
        while is_mounted(path):
            mount("none", path, flags=MS_REC | MS_PRIVATE)
            umount2(path, MNT_DETACH)
