"""The mounts of BuildKit's exec operation for a RUN, and the links to the files that they show.

Rule: moby/buildkit v0.25, frontend/dockerfile/dockerfile2llb/convert_runmount.go and convert_secrets.go,
client/llb/exec.go for their order, and solver/llbsolver/ops/exec.go for what of them counts.
"""

from __future__ import annotations

import os
import posixpath
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lamina.builder.buildkit_keys.content_hash import Undecided
from lamina.builder.buildkit_keys.copy_keys import CopyOrigin, links_to_files
from lamina.builder.buildkit_keys.key_records import (
    KeyLink,
    Output,
    digest_of,
    links_to,
    record_of,
)
from lamina.builder.buildkit_keys.operations import EMPTY, FileAction, file_operation, filled
from lamina.builder.buildkit_keys.stage_keys import StageKeys, clean
from lamina.dockerfile.mounts import MountFlag, secret_id
from lamina.formats.matching import has_wildcards

_SECRET, _CACHE, _TMPFS = 1, 3, 4  # pb.MountType
_SHARING = {"": 0, "shared": 0, "private": 1, "locked": 2}
_NO_OUTPUT = -1


@dataclass(frozen=True, slots=True)
class MountSource:
    """What a bind mount shows: files, or those of an operation on nothing."""

    output: Output
    files: CopyOrigin | None = None


@dataclass(slots=True)
class ExecMounts:
    """Mounts as they stand in the operation, the secrets in its environment, and the links to each of its inputs."""

    members: list[dict[str, Any]] = field(default_factory=list)
    secrets: list[dict[str, Any]] = field(default_factory=list)
    inputs: list[Sequence[KeyLink]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Mount:
    """One mount: its place, its members apart from place and input, and what it shows at which path."""

    target: str
    members: dict[str, Any]
    options: dict[str, Any]
    source: MountSource | None = None
    path: str = "/"


def exec_mounts(
    keys: StageKeys,
    base: Output,
    flags: Sequence[tuple[MountFlag, MountSource | None]],
    script: tuple[str, bytes] | None,
) -> ExecMounts:
    """Return the mounts of a RUN on `base`. Each bind mount has its source, and `script` is a file with its path.

    Raise Undecided for mounts whose form is not certain.
    """
    mounts = [_mount(keys, flag, source) for flag, source in flags if flag.type != "secret"]
    if script is not None:
        mounts.append(_script(*script))
    targets = [mount.target for mount in mounts]
    if len({*targets, "/"}) != len(targets) + 1:
        raise Undecided("two mounts at one place")
    result = ExecMounts()
    result.inputs.append(links_to(base, digest_of(b"/")))
    result.members.append({"dest": "/"})
    sources: list[tuple[MountSource, list[str]]] = []
    for mount in sorted(mounts, key=lambda each: os.fsencode(each.target)):
        number = EMPTY if mount.source is None else _input(sources, mount.source, mount.path, base)
        place = {"input": number, "dest": mount.target, "output": _NO_OUTPUT}
        result.members.append({**filled({**place, **mount.members}), **mount.options})
    result.inputs += [_links(source, paths) for source, paths in sources]
    for flag, _ in flags:
        if flag.type == "secret":
            _add_secret(result, flag)
    if len(result.members) == 1:
        result.members = []  # the root alone does not count
    return result


def _mount(keys: StageKeys, flag: MountFlag, source: MountSource | None) -> _Mount:
    target = clean(posixpath.join("/", keys.directory, flag.target)) if not flag.target.startswith("/") else flag.target
    path, readonly = clean(posixpath.join("/", flag.source)), {"readonly": flag.readonly}
    match flag.type:
        case "bind" if source is not None:
            return _Mount(target, readonly, {}, source, path)
        case "tmpfs" if not (flag.source or flag.source_image):
            return _Mount(target, {**readonly, "mountType": _TMPFS}, {"TmpfsOpt": filled({"size": flag.size})})
        case "cache" if not (flag.source or flag.source_image):
            members = {**readonly, "mountType": _CACHE}
            options = {"cacheOpt": _cache_option(flag, target)}
            if flag.uid is None and flag.gid is None and flag.mode is None:
                return _Mount(target, members, options)
            return _Mount(target, members, options, MountSource((record_of(_cache_folder(flag)),)), "/cache")
    raise Undecided(f"a mount of the type {flag.type}")


def _cache_option(flag: MountFlag, target: str) -> dict[str, Any]:
    """Return the name of a cache, which only counts if it is the usual one."""
    name = flag.id or clean(flag.target)
    return {"ID": f"/{name}"} if name == target and not _SHARING[flag.sharing] else {}


def _cache_folder(flag: MountFlag) -> bytes:
    owner = {
        "user": {"User": filled({"byId": flag.uid or 0})},
        "group": {"User": filled({"byId": flag.gid or 0})},
    }
    mode = 0o755 if flag.mode is None else flag.mode & 0o777
    make = filled({"path": "/cache", "mode": mode, "owner": owner, "timestamp": -1})
    return file_operation([FileAction(make, EMPTY)])


def _script(path: str, data: bytes) -> _Mount:
    """Return the mount of a here-document that is a program."""
    folder, name = posixpath.split(path)
    make = filled({"path": f"/{name}", "mode": 0o755, "data": b64encode(data).decode(), "timestamp": -1})
    source = MountSource((record_of(file_operation([FileAction(make, EMPTY)])),))
    return _Mount(f"{folder}/", {"readonly": True}, {}, source)


def _input(sources: list[tuple[MountSource, list[str]]], source: MountSource, path: str, base: Output) -> int:
    """Return the number of the input that a mount shows. Mounts of the same files share one."""
    if source.output and source.output == base:
        raise Undecided("a mount of the files below")
    for number, (other, paths) in enumerate(sources, 1):
        if other.output == source.output:
            paths.append(path)
            return number
    sources.append((source, [path]))
    return len(sources)


def _links(source: MountSource, paths: list[str]) -> tuple[KeyLink, ...]:
    selector = digest_of("\0".join(paths).encode())
    if source.files is None:
        return links_to(source.output, selector)
    if any(has_wildcards(path) for path in paths):
        raise Undecided("a mount of a name with wildcards in it")
    return links_to_files(source.files, paths, selector)


def _add_secret(made: ExecMounts, flag: MountFlag) -> None:
    """Add a secret. Rule: one with a name in the environment is no file, unless it has a target as well."""
    name, optional = secret_id(flag), {"optional": not flag.required}
    if flag.source and flag.id:
        raise Undecided("a secret with two names")
    if flag.env is not None:
        made.secrets.append(filled({"ID": name, "name": flag.env, **optional}))
    target = flag.target or ("" if flag.env is not None else f"/run/secrets/{posixpath.basename(name)}")
    if target:
        mode = 0o400 if flag.mode is None else flag.mode
        option = filled({"ID": name, "uid": flag.uid or 0, "gid": flag.gid or 0, "mode": mode, **optional})
        place = filled({"input": EMPTY, "dest": target, "mountType": _SECRET})
        made.members.append({**place, "secretOpt": option})
