"""`--mount type=image`: the files of an image, mounted read-only in a container that was made from another one.

Each is a snapshot of its own without a writable layer. It is made with the container, mounted while that runs, and
removed with it. The container holds the image meanwhile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import msgspec

from lamina.containers.container import Container
from lamina.containers.rooms import Rooms
from lamina.errors import NotFound
from lamina.formats.digest import Digest
from lamina.images.catalog import no_such_image
from lamina.sandbox.spec import MountPoint
from lamina.snapshots.driver import Driver
from lamina.store.leases import Lease


def prepare_images(
    rooms: Rooms, id: str, points: Sequence[MountPoint], lease: Lease, undo: ExitStack
) -> tuple[MountPoint, ...]:
    """Return the mounts of the container `id`, with a snapshot made for each image. Raise NotFound."""
    return tuple(_prepared(rooms, id, point, lease, undo) if point.type == "image" else point for point in points)


def _prepared(rooms: Rooms, id: str, point: MountPoint, lease: Lease, undo: ExitStack) -> MountPoint:
    image = rooms.images.get(point.name)
    if not all(lease.add(digest) for digest in (image.id, *image.config.diff_ids)):
        raise no_such_image(point.name)  # it went just now
    key = _key(id, point)
    snapshot = rooms.snapshots.prepare(key, image.layers, writable=False)
    undo.callback(rooms.snapshots.remove, key)
    return msgspec.structs.replace(point, image=str(image.id), source=str(snapshot.directories.merged))


def image_keys(id: str, points: Sequence[MountPoint]) -> list[str]:
    """Return the keys of the snapshots that the container `id` mounts."""
    return [_key(id, point) for point in points if point.type == "image"]


def image_digests(points: Sequence[MountPoint]) -> Iterator[Digest]:
    """Yield the IDs of the images that are mounted."""
    for point in points:
        if point.type == "image":
            yield Digest.parse(point.image)


def mount_images(snapshots: Driver, container: Container) -> None:
    """Mount all of the container's images, or none. Raise what `Snapshot.mount` raises."""
    with ExitStack() as undo:
        for key in image_keys(container.id, container.record.mounts):
            snapshot = snapshots.get(key)
            snapshot.mount(container.userns)
            undo.callback(snapshot.unmount)
        undo.pop_all()


def unmount_images(snapshots: Driver, container: Container) -> None:
    """Undo one `mount_images`."""
    for key in image_keys(container.id, container.record.mounts):
        snapshots.get(key).unmount()


def remove_images(snapshots: Driver, id: str, points: Sequence[MountPoint]) -> None:
    """Remove the snapshots. What is gone already is ignored."""
    for key in image_keys(id, points):
        try:
            snapshots.remove(key)
        except NotFound:
            continue


def as_binds(snapshots: Driver, container: Container) -> tuple[MountPoint, ...]:
    """Return the container's mounts as a sandbox has them: an image's is the bind of a mounted snapshot."""

    def as_bind(point: MountPoint) -> MountPoint:
        source = snapshots.get(_key(container.id, point)).directories.merged
        return msgspec.structs.replace(point, type="bind", source=str(source))

    return tuple(as_bind(point) if point.type == "image" else point for point in container.record.mounts)


def _key(id: str, point: MountPoint) -> str:
    return f"{id}-{hashlib.sha256(point.destination.encode()).hexdigest()[:12]}"
