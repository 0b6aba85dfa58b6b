"""`-v`, `--mount`, `--tmpfs`, `--volumes-from` and the image's VOLUMEs: worked out once, when a container is made."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from lamina.api.containers import Config, HostConfig
from lamina.containers.mount_specs import PROPAGATION, destination, mount_point, tmpfs, volume_point
from lamina.errors import InvalidInput
from lamina.sandbox.spec import MountPoint

_IGNORED = frozenset({"z", "Z", "consistent", "cached", "delegated"})

MountsOf = Callable[[str], Sequence[MountPoint]]


@dataclass(frozen=True, slots=True)
class MountRules:
    """How requests become mounts.

    `mounts_of` returns the mounts of the container that `--volumes-from` names. `data_root` is the engine's own.
    `recursive_read_only` is false for clients that know nothing of it.
    """

    mounts_of: MountsOf
    data_root: str
    recursive_read_only: bool = True

    def resolve(self, config: Config, host: HostConfig) -> tuple[MountPoint, ...]:
        """Return all mounts of a new container. Volumes that are still to be made have no name, or are not there.

        A mount that the request names wins over those of `--volumes-from`, and these win over the image's volumes.
        Raise InvalidInput.
        """
        points: dict[str, MountPoint] = {}
        for source in host.volumes_from:
            for point in _taken_over(source, self.mounts_of):
                points[point.destination] = point
        requested = [_bind(text) for text in host.binds]
        requested += [mount_point(spec) for spec in host.mounts]
        requested += [tmpfs(path, options) for path, options in host.tmpfs.items()]
        destinations: set[str] = set()
        for point in requested:
            if point.destination in destinations:
                raise InvalidInput(f"Duplicate mount point: {point.destination}", path=point.destination)
            destinations.add(point.destination)
            points[point.destination] = self._settled(point) if point.type == "bind" else point
        for path in config.volumes:
            place = destination(path)
            if place not in points:
                points[place] = volume_point("", place, anonymous=True)
        return tuple(points.values())

    def _settled(self, point: MountPoint) -> MountPoint:
        """Return a bind with what its request left open.

        A private copy of mounts below the data root would keep them from going away (moby volumes_linux.go).
        """
        changes: dict[str, Any] = {"propagation": point.propagation or "rprivate"}
        if _overlap(os.path.realpath(point.source), os.path.realpath(self.data_root)):
            if point.propagation not in ("", "rslave", "rshared"):
                raise InvalidInput(
                    'invalid mount config: must use either propagation mode "rslave" or "rshared" when mount source is '
                    f'within the daemon root, daemon root: "{self.data_root}", bind mount source: "{point.source}", '
                    f'propagation: "{point.propagation}"',
                    path=point.source,
                )
            changes["implied_slave"] = not point.propagation
            changes["propagation"] = point.propagation or "rslave"
        if not point.rw and not self.recursive_read_only:
            changes["read_only_non_recursive"] = True
        return msgspec.structs.replace(point, **changes)


def _overlap(one: str, other: str) -> bool:
    """Return whether one of two clean paths lies in the other."""
    return os.path.commonpath((one, other)) in (one, other)


def _taken_over(source: str, mounts_of: MountsOf) -> list[MountPoint]:
    if not source:
        raise InvalidInput("volumes-from specification cannot be an empty string")
    reference, _, mode = source.partition(":")
    words = set(filter(None, mode.split(",")))
    if words - _IGNORED - {"ro", "rw"} or {"ro", "rw"} <= words:
        raise InvalidInput(f"invalid mode: {mode}", mode=mode)
    points = [point for point in mounts_of(reference) if point.type in ("volume", "bind")]
    if "ro" not in words:
        return points
    return [msgspec.structs.replace(point, rw=False) for point in points]


def _bind(text: str) -> MountPoint:
    """`-v`: source:destination[:mode], or a destination alone for an anonymous volume."""
    parts = text.split(":")
    if len(parts) == 1:
        return volume_point("", destination(parts[0]), anonymous=True)
    if len(parts) > 3 or not parts[0]:
        raise InvalidInput(f"invalid volume specification: '{text}'", bind=text)
    source, place, mode = parts[0], destination(parts[1]), parts[2] if len(parts) == 3 else ""
    words = set(filter(None, mode.split(",")))
    unknown = words - PROPAGATION - _IGNORED - {"ro", "rw", "nocopy"}
    if unknown or {"ro", "rw"} <= words or len(words & PROPAGATION) > 1:
        raise InvalidInput(f'invalid mode: {mode}: invalid volume specification "{text}"', mode=mode)
    writable = "ro" not in words
    if source.startswith("/"):
        propagation = next(iter(words & PROPAGATION), "")
        return MountPoint(
            "bind",
            place,
            source=posixpath.normpath(source),
            mode=mode,
            rw=writable,
            propagation=propagation,
            create_source=True,
        )
    if "/" in source or source in (".", ".."):
        advice = "If you intended to pass a host directory, use an absolute path"
        raise InvalidInput(f'"{source}" includes invalid characters for a local volume name', advice=advice)
    return volume_point(source, place, mode=mode or "z", rw=writable, copy="nocopy" not in words)
