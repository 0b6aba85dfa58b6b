"""The bytes that stand for an operation: Go's JSON of it, without the members that do not count.

Rule: moby/buildkit v0.25, solver/llbsolver/ops/{exec,file,merge}.go, and solver/pb/ops.pb.go for the names and the
order of members. Go leaves out a member that is empty or zero, and escapes what HTML would mistake.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lamina.formats.platform import Platform

EMPTY = -1  # the number of an input that is not there
_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def go_json(value: Any) -> bytes:
    """Return the JSON that Go's encoding/json writes. Raise ValueError for text that is not UTF-8."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character, escape in _ESCAPED.items():
        text = text.replace(character, escape)
    return text.encode()


def filled(members: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members that Go's `omitempty` keeps."""
    return {name: value for name, value in members.items() if value not in (None, "", 0, False, [], (), {})}


@dataclass(frozen=True, slots=True)
class Process:
    """What a RUN runs. `environment` is in the order in which the names were last set."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    directory: str
    user: str
    hostname: str = ""
    network: int = 0  # pb.NetMode: 1 is the host's, 2 is none
    mounts: Sequence[Mapping[str, Any]] = ()  # with the root, unless it is the only one
    secrets: Sequence[Mapping[str, Any]] = ()  # those in the environment


def exec_operation(process: Process, platform: Platform) -> bytes:
    """Return what stands for a RUN on a platform."""
    meta = {
        "args": list(process.arguments),
        "env": [f"{name}={value}" for name, value in process.environment.items()],
        "cwd": process.directory,
        "user": process.user,
        "hostname": process.hostname,
        "removeMountStubsRecursive": True,
    }
    members = {
        "meta": filled(meta),
        "mounts": list(process.mounts),
        "network": process.network,
        "secretenv": list(process.secrets),
    }
    system = {"OS": platform.os, "Arch": platform.architecture}
    return go_json(
        {"Type": "buildkit.exec.v0", "Exec": filled(members), **system, **filled({"Variant": platform.variant})}
    )


@dataclass(frozen=True, slots=True)
class FileAction:
    """One action of a file operation: its JSON, and the numbers of its inputs. The last action makes the output."""

    action: Mapping[str, Any]
    input: int
    second_input: int = EMPTY


def file_operation(actions: Sequence[FileAction]) -> bytes:
    """Return what stands for a COPY, ADD or WORKDIR."""
    encoded = [b64encode(go_json(action.action)).decode() for action in actions]
    last = len(actions) - 1
    indexes = [[each.input, each.second_input, 0 if n == last else -1] for n, each in enumerate(actions)]
    members = {"Type": "buildkit.file.v0", "Actions": encoded}
    return go_json(members if _is_default(indexes) else {**members, "indexes": indexes})


def _is_default(indexes: Sequence[Sequence[int]]) -> bool:
    """Return whether the numbers are those that BuildKit leaves out, so that caches from before it named them count."""
    return all(
        first == (0 if n == 0 else len(indexes) + n - 1) and second in (EMPTY, 1)
        for n, (first, second, _) in enumerate(indexes)
    )


def merge_operation(count: int) -> bytes:
    """Return what stands for a merge of so many inputs."""
    return go_json({"Type": "buildkit.merge.v0", "Merge": {"inputs": [filled({"input": n}) for n in range(count)]}})


def owner_member(owner: str, base: int) -> dict[str, Any] | None:
    """Return the owner that `--chown` or USER names. Names are looked up in the files of input `base`.

    Rule: client/llb/fileop.go, WithUser.
    """
    if not owner:
        return None
    user, colon, group = owner.partition(":")
    return {"user": _user_member(user, base), **({"group": _user_member(group, base)} if colon else {})}


def _user_member(name: str, base: int) -> dict[str, Any]:
    number = _number(name)
    if number is not None:
        return {"User": filled({"byId": number})}
    return {"User": {"byName": filled({"name": name, "input": base})} if name else {}}


def _number(name: str) -> int | None:
    if name == "root":
        return 0
    digits = name[1:] if name[:1] in "+-" else name
    if not (digits.isascii() and digits.isdigit()) or not -(2**31) <= int(name) < 2**31:
        return None
    return int(name) % 2**32
