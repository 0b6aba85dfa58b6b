"""`-v`, `--mount`, `--tmpfs`, `--volumes-from` and the image's VOLUMEs: worked out once, when a container is made."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from lamina.api.containers import Config, HostConfig, MountSpec
from lamina.containers.record import MountPoint
from lamina.errors import InvalidInput

_PROPAGATION = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})
_IGNORED = frozenset({"z", "Z", "consistent", "cached", "delegated"})

Find = Callable[[str], Sequence[MountPoint]]


def resolve(config: Config, host: HostConfig, mounts_of: Find) -> tuple[MountPoint, ...]:
    """All mounts of a new container; volumes not yet made have no name or are not there.

    `mounts_of` gives the mounts of the container that `--volumes-from` names. What is named by the user wins over
    taken-over mounts, and those over the image's volumes. Raises InvalidInput.
    """
    found: dict[str, MountPoint] = {}
    for wish in host.volumes_from:
        for point in _taken_over(wish, mounts_of):
            found[point.destination] = point
    named = [_bind(text, host.volume_driver) for text in host.binds]
    named += [_mount(spec) for spec in host.mounts]
    named += [_tmpfs(path, options) for path, options in host.tmpfs.items()]
    seen: set[str] = set()
    for point in named:
        if point.destination in seen:
            raise InvalidInput(f"Duplicate mount point: {point.destination}", path=point.destination)
        seen.add(point.destination)
        found[point.destination] = point
    for path in config.volumes:
        destination = _destination(path)
        if destination not in found:
            found[destination] = _volume("", destination, anonymous=True)
    return tuple(found.values())


def _destination(path: str) -> str:
    if not path.startswith("/"):
        raise InvalidInput(f"invalid mount config: mount path must be absolute: {path!r}", path=path)
    clean = posixpath.normpath(path).replace("//", "/")
    if clean == "/":
        raise InvalidInput("invalid volume specification: destination can't be '/'", path=path)
    return clean


def _taken_over(wish: str, mounts_of: Find) -> list[MountPoint]:
    reference, _, mode = wish.partition(":")
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


def _bind(text: str, driver: str) -> MountPoint:
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
        propagation = next(iter(words & _PROPAGATION), "rprivate")
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
        options = spec.volume_options
        return _volume(
            spec.source,
            destination,
            mode="z" if spec.source else "",
            rw=writable,
            copy=not (options and options.no_copy),
            subpath=options.subpath if options else "",
            anonymous=not spec.source,
        )
    if spec.type == "tmpfs":
        if spec.source:
            raise InvalidInput('invalid mount config for type "tmpfs": field Source must not be specified')
        return MountPoint("tmpfs", destination, rw=writable, options=_tmpfs_options(spec))
    raise InvalidInput(f'invalid mount config: mount type unknown: "{spec.type}"', type=spec.type)


def _bind_mount(spec: MountSpec, destination: str) -> MountPoint:
    if not spec.source.startswith("/"):
        raise InvalidInput(f'invalid mount config for type "bind": source {spec.source!r} must be an absolute path')
    options = spec.bind_options
    create = bool(options and options.create_mountpoint)
    if not create and not os.path.lexists(spec.source):
        raise InvalidInput(
            f'invalid mount config for type "bind": bind source path does not exist: {spec.source}', path=spec.source
        )
    propagation = options.propagation if options and options.propagation else "rprivate"
    if propagation not in _PROPAGATION:
        raise InvalidInput(f'invalid mount config for type "bind": invalid propagation mode {propagation!r}')
    return MountPoint(
        "bind",
        destination,
        source=posixpath.normpath(spec.source),
        rw=not spec.read_only,
        propagation=propagation,
        recursive=not (options and options.non_recursive),
        create_source=create,
    )


def _tmpfs_options(spec: MountSpec) -> tuple[str, ...]:
    options = spec.tmpfs_options
    found = ["ro"] if spec.read_only else []
    if options and options.size_bytes:
        found.append(f"size={options.size_bytes}")
    if options and options.mode:
        found.append(f"mode={options.mode:o}")
    for words in options.options if options else ():
        found.append("=".join(words))
    return tuple(found)


def _tmpfs(path: str, options: str) -> MountPoint:
    """`--tmpfs path[:options]`."""
    return MountPoint("tmpfs", _destination(path), options=tuple(filter(None, options.split(","))))
