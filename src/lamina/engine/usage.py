"""`system df` as values: what takes the disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lamina.containers.container import Container
from lamina.containers.rooms import Rooms
from lamina.images.listing import ImagesUsage


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """What images take; and bytes by the ID of each container (of the files it changed) and the name of each volume."""

    images: ImagesUsage
    containers: Mapping[str, int]
    volumes: Mapping[str, int]


def disk_usage(rooms: Rooms, containers: Sequence[Container]) -> DiskUsage:
    """Looks at every container's and volume's files: this takes as long as there are many."""
    return DiskUsage(
        images=rooms.images.usage(),
        containers={container.id: rooms.snapshots.get(container.id).usage() for container in containers},
        volumes={volume.name: rooms.volumes.usage(volume.name) for volume in rooms.volumes.list()},
    )
