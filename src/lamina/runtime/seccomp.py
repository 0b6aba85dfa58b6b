"""Seccomp: Docker's default profile as data (seccomp.json), what it means for given capabilities, and compiled filters.

The rules, with their conditions on capabilities, architecture and kernel, are those of moby's
profiles/seccomp/default.json. An OCI runtime takes them without conditions, so they are decided here.

crun spends nearly half its time compiling a filter from the profile at every start. It leaves the program it compiled
in its state directory and takes one by the annotation `run.oci.seccomp_bpf_data` (crun(1)). So each profile is compiled
once for each runtime directory, which lies on a tmpfs and is root's alone. Other runtimes get the profile as it is.
"""

from __future__ import annotations

import base64
import hashlib
import os
import platform
import shutil
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import cache
from importlib import resources
from pathlib import Path
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
_ANNOTATION = "run.oci.seccomp_bpf_data"
_REFUSE_ALL = {"defaultAction": "SCMP_ACT_ERRNO"}  # what is left for a crun that would not know the annotation


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
    """Return whether an `includes` condition holds: all its capabilities, one of its architectures, its kernel."""
    if condition.get("arches") and machine not in condition["arches"]:
        return False
    if any(name not in held for name in condition.get("caps") or ()):
        return False
    return not condition.get("minKernel") or _newer(condition["minKernel"])


def _excluded(condition: Mapping[str, Any], machine: str, held: Collection[str]) -> bool:
    """Return whether an `excludes` condition holds, which any of its parts does."""
    if machine in (condition.get("arches") or ()):
        return True
    if any(name in held for name in condition.get("caps") or ()):
        return True
    return bool(condition.get("minKernel")) and _newer(condition["minKernel"])


def _newer(minimum: str) -> bool:
    major, _, minor = minimum.partition(".")
    return _kernel() >= (int(major), int(minor or 0))


def _architectures(profile: Mapping[str, Any], native: str) -> list[str]:
    if profile.get("archMap"):
        table = {entry["architecture"]: entry.get("subArchitectures") or [] for entry in profile["archMap"]}
    else:
        architectures = profile.get("architectures") or {}
        if not isinstance(architectures, Mapping):
            return list(architectures)
        table = dict(architectures)
    return [native, *table[native]] if native in table else []


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    resolved: dict[str, Any] = {"names": rule.get("names") or [rule["name"]], "action": rule["action"]}
    if rule.get("args"):
        resolved["args"] = rule["args"]
    if rule.get("errnoRet") is not None:
        resolved["errnoRet"] = rule["errnoRet"]
    return resolved


@cache
def default(held: frozenset[str]) -> dict[str, Any]:
    """Return the default profile for a container with the capabilities `held`, as config.json's `linux.seccomp`."""
    return resolve(_default_profile(), held)


def resolve(profile: Mapping[str, Any], held: Collection[str]) -> dict[str, Any]:
    """Decide the conditions of a profile in Docker's JSON shape. Raise InvalidInput when it has none."""
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


class FilterCache:
    """Compiled filters below `directory`, for the runtime program at `program` whose states lie in `states`."""

    def __init__(self, directory: Path, program: str, states: Path) -> None:
        self._directory = directory
        self._states = states
        self._identity = ""
        if os.path.basename(program) == "crun":
            info = os.stat(program)
            self._identity = f"{program}:{info.st_size}:{info.st_mtime_ns}:{os.uname().machine}"
        self._loaded: dict[str, str] = {}

    def apply(self, document: dict[str, Any]) -> str:
        """Put the compiled filter into a config.json document, where there is one.

        Return the key under which `learn` may keep the filter after the start; "" where there is nothing to learn.
        """
        profile = document["linux"].get("seccomp")
        if profile is None or not self._identity:
            return ""
        key = hashlib.sha256(self._identity.encode() + msgspec.json.encode(profile)).hexdigest()
        encoded = self._load(key)
        if encoded is None:
            return key
        document["linux"]["seccomp"] = _REFUSE_ALL
        document.setdefault("annotations", {})[_ANNOTATION] = encoded
        return ""

    def learn(self, key: str, id: str) -> None:
        """Keep the filter that the runtime compiled for the task `id`, which has just started."""
        if not key:
            return
        with suppress(OSError):  # the task may have ended already: another start will tell
            self._directory.mkdir(mode=0o700, exist_ok=True)
            temporary = self._directory / f"{key}.{id}.tmp"
            shutil.copyfile(self._states / id / "seccomp.bpf", temporary)
            os.rename(temporary, self._directory / key)

    def _load(self, key: str) -> str | None:
        if key not in self._loaded:
            try:
                raw = (self._directory / key).read_bytes()
            except OSError:
                return None
            if not raw or len(raw) % 8:  # struct sock_filter is eight bytes
                return None
            self._loaded[key] = base64.b64encode(raw).decode()
        return self._loaded[key]
