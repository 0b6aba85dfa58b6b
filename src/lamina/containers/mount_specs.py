"""`--mount` and `--tmpfs`: one mount of a request, checked and worked out.

Rule: moby daemon/volume/mounts/linux_parser.go.
"""

from __future__ import annotations

import os
import posixpath
from typing import Any

from lamina.api.containers import BindOptions, MountSpec, TmpfsOptions
from lamina.errors import InvalidInput
from lamina.sandbox.spec import MountPoint

PROPAGATION = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})
_OPTIONS = {
    "bind": "BindOptions",
    "volume": "VolumeOptions",
    "tmpfs": "TmpfsOptions",
    "image": "ImageOptions",
}
# What a tmpfs takes: mount(8)'s words for every file system, and tmpfs(5)'s own keys
_TMPFS_FLAGS = frozenset(
    (
        *("async", "atime", "defaults", "dev", "diratime", "dirsync", "exec", "mand", "noatime", "nodev", "nodiratime"),
        *("noexec", "nomand", "norelatime", "nostrictatime", "nosuid", "relatime", "remount", "ro", "rw"),
        *("strictatime", "suid", "sync", "private", "rprivate", "shared", "rshared", "slave", "rslave"),
        *("bind", "rbind", "unbindable", "runbindable"),
    )
)
_TMPFS_KEYS = frozenset({"gid", "mode", "mpol", "nr_blocks", "nr_inodes", "size", "uid"})


def mount_point(spec: MountSpec) -> MountPoint:
    """Return the mount of one `--mount`. Raise InvalidInput."""
    _check_options(spec)
    if not spec.target:
        raise _refused(spec, "field Target must not be empty")
    path = destination(spec.target)
    match spec.type:
        case "bind":
            return _bind(spec, path)
        case "volume":
            return _volume(spec, path)
        case "tmpfs":
            if spec.source:
                raise _refused(spec, "field Source must not be specified")
            return MountPoint("tmpfs", path, rw=not spec.read_only, options=_tmpfs_options(spec))
        case "image":
            return _image(spec, path)
        case "cluster":
            raise _refused(spec, "mount type unknown: cluster volumes belong to a swarm, and lamina has none")
    raise _refused(spec, "mount type unknown")


def tmpfs(path: str, options: str) -> MountPoint:
    """Return the mount of `--tmpfs path[:options]`. Raise InvalidInput."""
    words = tuple(filter(None, options.split(",")))
    for word in words:
        key, sign, _ = word.partition("=")
        if word not in _TMPFS_FLAGS and not (sign and key in _TMPFS_KEYS):
            raise InvalidInput(f'invalid tmpfs option "{key}"', option=word)
    return MountPoint("tmpfs", destination(path), options=words)


def volume_point(name: str, path: str, *, copy: bool = True, **fields: Any) -> MountPoint:
    """Return the mount of a volume; one without a name is still to be made."""
    return MountPoint("volume", path, name=name, driver="local", copy=copy, **fields)


def destination(path: str) -> str:
    """Return where in a container something is mounted, as a clean path. Raise InvalidInput."""
    if not path.startswith("/"):
        raise InvalidInput(f"invalid mount config: mount path must be absolute: {path!r}", path=path)
    clean = posixpath.normpath(path).replace("//", "/")
    if clean == "/":
        raise InvalidInput("invalid volume specification: destination can't be '/'", path=path)
    return clean


def _refused(spec: MountSpec, reason: str) -> InvalidInput:
    return InvalidInput(f'invalid mount config for type "{spec.type}": {reason}', type=spec.type, path=spec.target)


def _check_options(spec: MountSpec) -> None:
    """Refuse options of another type of mount."""
    present = {
        "bind": spec.bind_options,
        "volume": spec.volume_options,
        "tmpfs": spec.tmpfs_options,
        "image": spec.image_options,
    }
    for kind, options in present.items():
        if options is not None and kind != spec.type:
            raise _refused(spec, f"field {_OPTIONS[kind]} must not be specified")


def _check_subpath(spec: MountSpec, subpath: str) -> None:
    """Refuse a path that leads out, read without a look at any file (Go's filepath.IsLocal)."""
    if subpath.startswith("/") or posixpath.normpath(subpath).split("/")[0] == "..":
        reason = "subpath must be a relative path within the volume: path concatenation escapes the base directory"
        raise _refused(spec, f"{reason}, subpath: {subpath}")


def _volume(spec: MountSpec, path: str) -> MountPoint:
    options = spec.volume_options
    subpath = options.subpath if options else ""
    if subpath and not spec.source:
        raise _refused(spec, "must not set Subpath when using anonymous volumes")
    _check_subpath(spec, subpath)
    return volume_point(
        spec.source,
        path,
        mode="z" if spec.source else "",
        rw=not spec.read_only,
        copy=not (options and options.no_copy),
        subpath=subpath,
        anonymous=not spec.source,
    )


def _image(spec: MountSpec, path: str) -> MountPoint:
    if not spec.source:
        raise _refused(spec, "field Source must not be empty")
    subpath = spec.image_options.subpath if spec.image_options else ""
    _check_subpath(spec, subpath)
    return MountPoint("image", path, name=spec.source, rw=False, propagation="rprivate", subpath=subpath)


def _bind(spec: MountSpec, path: str) -> MountPoint:
    if not spec.source:
        raise _refused(spec, "field Source must not be empty")
    if not spec.source.startswith("/"):
        raise _refused(spec, f"invalid mount path: '{spec.source}' mount path must be absolute")
    options = spec.bind_options or BindOptions()
    _check_read_only(spec, options)
    create = options.create_mountpoint
    if not create and not os.path.lexists(spec.source):
        raise _refused(spec, f"bind source path does not exist: {spec.source}")
    if options.propagation not in (*PROPAGATION, ""):
        raise _refused(spec, f"invalid propagation mode: {options.propagation}")
    return MountPoint(
        "bind",
        path,
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
    options = spec.tmpfs_options or TmpfsOptions()
    words = ["ro"] if spec.read_only else []
    if options.size_bytes:
        words.append(f"size={options.size_bytes}")
    if options.mode:
        words.append(f"mode={options.mode:o}")
    for pair in options.options:
        if not 1 <= len(pair) <= 2:
            raise _refused(spec, "invalid option array length")
        if pair[0] not in ("exec", "noexec"):
            raise _refused(spec, f"invalid option: {pair[0]}")
        words.append("=".join(pair))
    return tuple(words)
