"""`system df` as values: what takes the disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from lamina.containers.container import Container
from lamina.containers.rooms import Rooms
from lamina.errors import NotFound
from lamina.images.listing import ImagesUsage


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """What images take; and bytes by the ID of each container (of the files it changed) and the name of each volume."""

    images: ImagesUsage
    containers: Mapping[str, int]
    volumes: Mapping[str, int]


def disk_usage(rooms: Rooms, containers: Sequence[Container]) -> DiskUsage:
    """Looks at every container's and volume's files: this takes as long as there are many."""
    changed: dict[str, int] = {}
    for container in containers:
        with suppress(NotFound):  # it is removed just now
            changed[container.id] = rooms.snapshots.get(container.id).usage()
    return DiskUsage(
        images=rooms.images.usage(),
        containers=changed,
        volumes={volume.name: rooms.volumes.usage(volume) for volume in rooms.volumes.list()},
    )
