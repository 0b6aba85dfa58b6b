"""A container's files as the container sees them: its root with its volumes and binds mounted in it.

The view is a tree of mounts that is attached nowhere (open_tree(2)): nobody else sees it, and it goes with its
descriptor, also when the engine is killed. It is put together by a thread in a mount namespace of its own, because
older kernels mount only on what is attached somewhere.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from lamina.containers.container import Container
from lamina.containers.image_mounts import as_binds, mount_images, unmount_images
from lamina.containers.rooms import Rooms
from lamina.linux.mounts import (
    AT_RECURSIVE,
    MS_PRIVATE,
    OPEN_TREE_CLONE,
    mount,
    mount_of,
    move_mount_onto,
    open_tree,
)
from lamina.linux.processes import making_files_of
from lamina.linux.syscalls import CLONE_NEWNS, unshare
from lamina.linux.user_namespaces import IdMap
from lamina.runtime.mount_places import open_place
from lamina.sandbox.etc_files import NAMES
from lamina.sandbox.mounts import detached_mount
from lamina.sandbox.spec import MountPoint

Source = tuple[str, int]  # where it is mounted, and the descriptor of a mount that is attached nowhere


@contextmanager
def mounted_root(container: Container, rooms: Rooms) -> Iterator[Path]:
    """Provide the container's root directory, mounted meanwhile."""
    snapshot = rooms.snapshots.get(container.id)
    root = snapshot.mount(container.userns)
    try:
        yield root
    finally:
        snapshot.unmount()


@contextmanager
def container_view(container: Container, rooms: Rooms) -> Iterator[int]:
    """Provide a descriptor (O_PATH) of the container's root with all that is mounted in it, but for tmpfs.

    Places to mount on are made where the root lacks them. Raise OSError and what `Volumes.mount` raises.
    """
    with mounted_root(container, rooms) as root, ExitStack() as closing:
        sources = _sources(container, rooms, closing)
        if sources:
            with ThreadPoolExecutor(1, "lamina-view") as thread:  # whose namespace goes with it
                view = thread.submit(_assembled, root, sources, container.ids).result()
        else:
            view = os.open(root, os.O_PATH | os.O_CLOEXEC)
        closing.callback(os.close, view)
        yield view


def _sources(container: Container, rooms: Rooms, closing: ExitStack) -> Sequence[Source]:
    """Return the mounts of the container, outer ones first. A bind whose source is gone by now is left out."""
    own = [MountPoint("bind", f"/etc/{name}", source=str(container.directory / name)) for name in NAMES]
    mount_images(rooms.snapshots, container)
    closing.callback(unmount_images, rooms.snapshots, container)
    points = {point.destination: point for point in (*own, *as_binds(rooms.snapshots, container)) if point.source}
    user = f"view:{secrets.token_hex(8)}"
    sources = []
    for point in sorted(points.values(), key=lambda point: point.destination.count("/")):
        source = point.source
        if point.type == "volume":
            source = str(rooms.volumes.mount(point.name, user))
            closing.callback(rooms.volumes.unmount, point.name, user)
        with suppress(FileNotFoundError):
            tree = detached_mount(point, source)
            closing.callback(os.close, tree)
            sources.append((point.destination, tree))
    return sources


def _assembled(root: Path, sources: Sequence[Source], ids: IdMap | None) -> int:
    """Mount all in `root`, as far as this thread sees it, and return a copy of the tree."""
    unshare(CLONE_NEWNS)
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        mount("none", mount_of(root_fd, "thread-self").target, flags=MS_PRIVATE)  # nothing of it shows on the host
        for destination, tree in sources:
            with making_files_of(ids.root if ids else None):
                place = open_place(root_fd, destination, stat.S_ISDIR(os.fstat(tree).st_mode))
            try:
                move_mount_onto(tree, place)
            finally:
                os.close(place)
        return open_tree(root, OPEN_TREE_CLONE | AT_RECURSIVE)
    finally:
        os.close(root_fd)
