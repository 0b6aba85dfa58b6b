"""Seccomp: Docker's default profile as data (seccomp.json), and what it means for one set of capabilities.

The rules, with their conditions on capabilities, architecture and kernel, are those of moby's
profiles/seccomp/default.json; an OCI runtime takes them without conditions, so they are decided here.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Collection, Mapping
from functools import cache
from importlib import resources
from typing import Any

import msgspec

from lamina.errors import InvalidInput

# Machine name (uname -m) → (name in profile conditions, libseccomp's name)
_ARCHITECTURES = {
    "x86_64": ("amd64", "SCMP_ARCH_X86_64"),
    "aarch64": ("arm64", "SCMP_ARCH_AARCH64"),
    "s390x": ("s390x", "SCMP_ARCH_S390X"),
    "ppc64le": ("ppc64le", "SCMP_ARCH_PPC64LE"),
    "riscv64": ("riscv64", "SCMP_ARCH_RISCV64"),
    "loongarch64": ("loong64", "SCMP_ARCH_LOONGARCH64"),
    "armv7l": ("arm", "SCMP_ARCH_ARM"),
    "i686": ("386", "SCMP_ARCH_X86"),
}


@cache
def _default_profile() -> dict[str, Any]:
    raw = resources.files("lamina.runtime").joinpath("seccomp.json").read_bytes()
    profile: dict[str, Any] = msgspec.json.decode(raw)
    return profile


@cache
def _kernel() -> tuple[int, int]:
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(c for c in minor if c.isdigit()) or 0)


def _met(condition: Mapping[str, Any], machine: str, held: Collection[str]) -> bool:
    """Whether an `includes` condition holds: all its capabilities, one of its architectures, its kernel."""
    if condition.get("arches") and machine not in condition["arches"]:
        return False
    if any(name not in held for name in condition.get("caps") or ()):
        return False
    return not condition.get("minKernel") or _newer(condition["minKernel"])


def _excluded(condition: Mapping[str, Any], machine: str, held: Collection[str]) -> bool:
    """Whether an `excludes` condition holds: any of its parts."""
    if machine in (condition.get("arches") or ()):
        return True
    if any(name in held for name in condition.get("caps") or ()):
        return True
    return bool(condition.get("minKernel")) and _newer(condition["minKernel"])


def _newer(wanted: str) -> bool:
    major, _, minor = wanted.partition(".")
    return _kernel() >= (int(major), int(minor or 0))


def _architectures(profile: Mapping[str, Any], native: str) -> list[str]:
    if profile.get("archMap"):
        table = {entry["architecture"]: entry.get("subArchitectures") or [] for entry in profile["archMap"]}
    else:
        given = profile.get("architectures") or {}
        if not isinstance(given, Mapping):
            return list(given)
        table = dict(given)
    return [native, *table[native]] if native in table else []


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {"names": rule.get("names") or [rule["name"]], "action": rule["action"]}
    if rule.get("args"):
        kept["args"] = rule["args"]
    if rule.get("errnoRet") is not None:
        kept["errnoRet"] = rule["errnoRet"]
    return kept


@cache
def default(held: frozenset[str]) -> dict[str, Any]:
    """The default profile for a container with the capabilities `held`, as config.json's `linux.seccomp`."""
    return resolve(_default_profile(), held)


def resolve(profile: Mapping[str, Any], held: Collection[str]) -> dict[str, Any]:
    """Decides the conditions of a profile in Docker's JSON shape. Raises InvalidInput when it has none."""
    machine, native = _ARCHITECTURES.get(platform.machine(), (platform.machine(), ""))
    if "defaultAction" not in profile:
        raise InvalidInput("seccomp profile: field defaultAction is missing", field="defaultAction")
    rules = [
        _rule(rule)
        for rule in profile.get("syscalls") or ()
        if _met(rule.get("includes") or {}, machine, held) and not _excluded(rule.get("excludes") or {}, machine, held)
    ]
    resolved: dict[str, Any] = {"defaultAction": profile["defaultAction"], "syscalls": rules}
    if profile.get("defaultErrnoRet") is not None:
        resolved["defaultErrnoRet"] = profile["defaultErrnoRet"]
    architectures = _architectures(profile, native)
    if architectures:
        resolved["architectures"] = architectures
    return resolved
