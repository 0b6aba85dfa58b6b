"""/dev/shm of containers that share their IPC namespace: a tmpfs on the host, bound into each of them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from lamina.containers.container import Container
from lamina.linux.mounts import MNT_DETACH, MS_NODEV, MS_NOEXEC, MS_NOSUID, mount, umount2


def path(container: Container) -> Path:
    """Where it is mounted."""
    return container.directory / "shm"


def mount_shared(container: Container) -> Path:
    """Mounts the container's shared memory, of the size it asks for; gives where."""
    where = path(container)
    where.mkdir(exist_ok=True, mode=0o700)
    size = container.record.host_config.shm_size
    mount("shm", where, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, f"mode=1777,size={size}")
    return where


def unmount(container: Container) -> None:
    """Unmounts it; nothing happens where it is not mounted."""
    with suppress(OSError):  # not mounted
        umount2(path(container), MNT_DETACH)
