"""`-v`, `--mount`, `--tmpfs`, `--volumes-from` and the image's VOLUMEs: worked out once, when a container is made."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from lamina.api.containers import BindOptions, Config, HostConfig, MountSpec
from lamina.errors import InvalidInput
from lamina.sandbox.spec import MountPoint

_PROPAGATION = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})
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
        requested += [_mount(spec) for spec in host.mounts]
        requested += [_tmpfs(path, options) for path, options in host.tmpfs.items()]
        destinations: set[str] = set()
        for point in requested:
            if point.destination in destinations:
                raise InvalidInput(f"Duplicate mount point: {point.destination}", path=point.destination)
            destinations.add(point.destination)
            points[point.destination] = self._settled(point) if point.type == "bind" else point
        for path in config.volumes:
            destination = _destination(path)
            if destination not in points:
                points[destination] = _volume("", destination, anonymous=True)
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


def _destination(path: str) -> str:
    if not path.startswith("/"):
        raise InvalidInput(f"invalid mount config: mount path must be absolute: {path!r}", path=path)
    clean = posixpath.normpath(path).replace("//", "/")
    if clean == "/":
        raise InvalidInput("invalid volume specification: destination can't be '/'", path=path)
    return clean


def _taken_over(source: str, mounts_of: MountsOf) -> list[MountPoint]:
    reference, _, mode = source.partition(":")
    if mode not in ("", "ro", "rw", "z", "Z"):
        raise InvalidInput(f"invalid mode for volumes-from: {mode}", mode=mode)
    points = [point for point in mounts_of(reference) if point.type in ("volume", "bind")]
    if mode != "ro":
        return points
    return [_read_only(point) for point in points]


def _read_only(point: MountPoint) -> MountPoint:
    return msgspec.structs.replace(point, rw=False)


def _volume(name: str, destination: str, *, copy: bool = True, **fields: Any) -> MountPoint:
    return MountPoint("volume", destination, name=name, driver="local", copy=copy, **fields)


def _bind(text: str) -> MountPoint:
    """`-v`: source:destination[:mode], or a destination alone for an anonymous volume."""
    parts = text.split(":")
    if len(parts) == 1:
        return _volume("", _destination(parts[0]), anonymous=True)
    if len(parts) > 3 or not parts[0]:
        raise InvalidInput(f"invalid volume specification: '{text}'", bind=text)
    source, destination, mode = parts[0], _destination(parts[1]), parts[2] if len(parts) == 3 else ""
    words = set(filter(None, mode.split(",")))
    unknown = words - _PROPAGATION - _IGNORED - {"ro", "rw", "nocopy"}
    if unknown or {"ro", "rw"} <= words or len(words & _PROPAGATION) > 1:
        raise InvalidInput(f'invalid mode: {mode}: invalid volume specification "{text}"', mode=mode)
    writable = "ro" not in words
    if source.startswith("/"):
        propagation = next(iter(words & _PROPAGATION), "")
        return MountPoint(
            "bind",
            destination,
            source=posixpath.normpath(source),
            mode=mode,
            rw=writable,
            propagation=propagation,
            create_source=True,
        )
    if "/" in source or source in (".", ".."):
        advice = "If you intended to pass a host directory, use an absolute path"
        raise InvalidInput(f'"{source}" includes invalid characters for a local volume name', advice=advice)
    return _volume(source, destination, mode=mode or "z", rw=writable, copy="nocopy" not in words)


def _mount(spec: MountSpec) -> MountPoint:
    """`--mount`."""
    destination = _destination(spec.target)
    writable = not spec.read_only
    if spec.type == "bind":
        return _bind_mount(spec, destination)
    if spec.type == "volume":
        return _volume_mount(spec, destination)
    if spec.type == "tmpfs":
        if spec.source:
            raise InvalidInput('invalid mount config for type "tmpfs": field Source must not be specified')
        return MountPoint("tmpfs", destination, rw=writable, options=_tmpfs_options(spec))
    raise InvalidInput(f'invalid mount config: mount type unknown: "{spec.type}"', type=spec.type)


def _volume_mount(spec: MountSpec, destination: str) -> MountPoint:
    options = spec.volume_options
    subpath = options.subpath if options else ""
    if subpath and not spec.source:
        raise InvalidInput('invalid mount config for type "volume": must not set Subpath when using anonymous volumes')
    if subpath and not _is_local(subpath):
        raise InvalidInput(
            'invalid mount config for type "volume": subpath must be a relative path within the volume: '
            f"path concatenation escapes the base directory, subpath: {subpath}",
            subpath=subpath,
        )
    return _volume(
        spec.source,
        destination,
        mode="z" if spec.source else "",
        rw=not spec.read_only,
        copy=not (options and options.no_copy),
        subpath=subpath,
        anonymous=not spec.source,
    )


def _is_local(path: str) -> bool:
    """Return whether a path, read without a look at any file, stays where it starts (Go's filepath.IsLocal)."""
    return not path.startswith("/") and posixpath.normpath(path).split("/")[0] != ".."


def _bind_mount(spec: MountSpec, destination: str) -> MountPoint:
    if not spec.source.startswith("/"):
        raise InvalidInput(f'invalid mount config for type "bind": source {spec.source!r} must be an absolute path')
    options = spec.bind_options or BindOptions()
    _check_read_only(spec, options)
    create = options.create_mountpoint
    if not create and not os.path.lexists(spec.source):
        raise InvalidInput(
            f'invalid mount config for type "bind": bind source path does not exist: {spec.source}', path=spec.source
        )
    if options.propagation not in (*_PROPAGATION, ""):
        raise InvalidInput(f'invalid mount config for type "bind": invalid propagation mode: {options.propagation}')
    return MountPoint(
        "bind",
        destination,
        source=posixpath.normpath(spec.source),
        rw=not spec.read_only,
        propagation=options.propagation,
        recursive=not options.non_recursive,
        read_only_non_recursive=options.read_only_non_recursive,
        read_only_force_recursive=options.read_only_force_recursive,
        create_source=create,
    )


def _check_read_only(spec: MountSpec, options: BindOptions) -> None:
    chosen = {
        "ReadOnlyNonRecursive": options.read_only_non_recursive,
        "ReadOnlyForceRecursive": options.read_only_force_recursive,
    }
    names = [name for name, value in chosen.items() if value]
    if names and not spec.read_only:
        raise InvalidInput(f"mount options conflict: !ReadOnly && BindOptions.{names[0]}")
    if len(names) > 1:
        raise InvalidInput(f"mount options conflict: {names[0]} && BindOptions.{names[1]}")


def _tmpfs_options(spec: MountSpec) -> tuple[str, ...]:
    options = spec.tmpfs_options
    words = ["ro"] if spec.read_only else []
    if options and options.size_bytes:
        words.append(f"size={options.size_bytes}")
    if options and options.mode:
        words.append(f"mode={options.mode:o}")
    words += ["=".join(pair) for pair in (options.options if options else ())]
    return tuple(words)


def _tmpfs(path: str, options: str) -> MountPoint:
    """Return the mount of `--tmpfs path[:options]`."""
    return MountPoint("tmpfs", _destination(path), options=tuple(filter(None, options.split(","))))
