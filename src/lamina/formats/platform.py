"""Platforms and their normal forms, as containerd's platforms package writes, reads and compares them."""

from __future__ import annotations

import platform as _python_platform
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from urllib.parse import quote, unquote

from lamina.errors import InvalidInput
from lamina.formats.document import Document, strings, text

_SYSTEM_NAMES = """
aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris windows zos
"""
_ARCHITECTURE_NAMES = """
386 amd64 amd64p32 arm armbe arm64 arm64be ppc64 ppc64le loong64 mips mipsle mips64 mips64le mips64p32
mips64p32le ppc riscv riscv64 s390 s390x sparc sparc64 wasm
"""
_SYSTEMS = frozenset(_SYSTEM_NAMES.split())
_ARCHITECTURES = frozenset(_ARCHITECTURE_NAMES.split())
_ALIASES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386", "armhf": "arm", "armel": "arm"}
_ALIAS_VARIANTS = {"armhf": "v7", "armel": "v6", "i386": ""}
_VARIANTS = {
    "amd64": {"v1": ""},
    "arm64": {"8": "", "v8": "", "v8.0": "", "9": "v9", "9.0": "v9", "v9.0": "v9"},
    "arm": {"": "v7", "5": "v5", "6": "v6", "7": "v7", "8": "v8"},
}
_SYSTEM_PART = re.compile(r"([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.%-]*)((?:\+[A-Za-z0-9_.%-]+)*)\))?")
_PART = re.compile(r"[A-Za-z0-9_.-]+")
_MACHINES = {"i686": "386", "i586": "386", "armv7l": "arm/v7", "armv6l": "arm/v6", "armv8l": "arm/v8"}
_ARM_VARIANTS = ("v8", "v7", "v6", "v5")


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image runs on. `parse` and `normalised` give the form that compares; JSON keeps what was written."""

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""
    os_features: tuple[str, ...] = ()

    @classmethod
    def parse(cls, specifier: str) -> Platform:
        """Return `os`, `architecture`, `os/architecture` or `os/architecture/variant`, normalised; the rest from the
        host.

        The OS may carry a version and features: `windows(10.0.17763+win32k)/amd64`. Raise InvalidInput.
        """
        parts = specifier.split("/")
        head = _SYSTEM_PART.fullmatch(parts[0])
        bad = next((part for part in parts[1:] if not _PART.fullmatch(part)), None)
        if bad is not None and head is not None and len(parts) <= 3:
            raise InvalidInput(
                f'"{bad[:200]}" is an invalid component of "{specifier[:200]}": platform specifier component must '
                f'match "^{_PART.pattern}$": invalid argument',
                advice="Write it as os/architecture, such as linux/arm64.",
            )
        if head is None or len(parts) > 3:
            raise InvalidInput(
                f'"{specifier[:200]}": cannot parse platform specifier: invalid argument',
                advice="Write it as os/architecture, such as linux/arm64.",
            )
        version, features = unquote(head[2] or ""), tuple(unquote(f) for f in (head[3] or "").split("+") if f)
        if len(parts) > 1:
            return cls(head[1], parts[1], parts[2] if len(parts) == 3 else "", version, features).normalised()
        return _from_one_word(specifier, cls(head[1], "", "", version, features))

    @classmethod
    def host(cls) -> Platform:
        """Return the platform of this machine, normalised."""
        return _host()

    def normalised(self) -> Platform:
        """Return the form that compares equal for all spellings of one platform."""
        system = self.os.lower()
        architecture, variant = _normal_architecture(self.architecture, self.variant)
        features = tuple(sorted({feature for feature in self.os_features if feature}))
        return Platform("darwin" if system == "macos" else system, architecture, variant, self.os_version, features)

    def matches(self, platform: Platform) -> bool:
        """Return whether something for this platform suits `platform`: same OS, architecture and variant.

        `platform` must have every OS feature that this needs; on Windows the first three parts of the OS versions agree
        where both name one.
        """
        own, other = self.normalised(), platform.normalised()
        return (
            (own.os, own.architecture, own.variant) == (other.os, other.architecture, other.variant)
            and set(own.os_features) <= set(other.os_features) | {"win32k"}
            and _versions_agree(own, other)
        )

    def acceptable(self) -> tuple[Platform, ...]:
        """Return what a machine of this platform can run, best first: older variants, 386 on amd64, arm on arm64."""
        me = self.normalised()
        return tuple(replace(me, architecture=a, variant=v) for a, v in _runs(me.architecture, me.variant))

    def __str__(self) -> str:
        """Return `os[(version+feature…)]/architecture[/variant]`."""
        options = quote(self.os_version, safe="") + "".join("+" + quote(f, safe="") for f in self.os_features)
        head = f"{self.os}({options})" if options else self.os
        return "/".join(part for part in (head, self.architecture, self.variant) if part) or "unknown"

    @classmethod
    def from_json(cls, document: Document, what: str, where: str = "") -> Platform:
        """Return the platform object of a descriptor; `where` is its path in the document, for errors."""
        os, architecture = text(document, "os", what, where), text(document, "architecture", what, where)
        variant, version = text(document, "variant", what, where), text(document, "os.version", what, where)
        return cls(os, architecture, variant, version, strings(document, "os.features", what, where))

    def to_json(self) -> dict[str, Any]:
        """Return the object for a descriptor; empty members are left out."""
        fields: dict[str, Any] = {"architecture": self.architecture, "os": self.os}
        if self.os_version:
            fields["os.version"] = self.os_version
        if self.os_features:
            fields["os.features"] = list(self.os_features)
        if self.variant:
            fields["variant"] = self.variant
        return fields


def choose(machine: Platform, offered: Sequence[Platform | None]) -> int | None:
    """Return the position in `offered` of what suits a machine of platform `machine` best, or None.

    Exact matches come before what the machine can run as well; the earlier one wins among equals. An entry without a
    platform (None) is taken only where nothing else fits.
    """
    for acceptable in machine.acceptable():
        for position, platform in enumerate(offered):
            if platform is not None and platform.matches(acceptable):
                return position
    return next((position for position, platform in enumerate(offered) if platform is None), None)


def _runs(architecture: str, variant: str) -> Iterable[tuple[str, str]]:
    yield architecture, variant
    if architecture == "amd64":
        level = int(variant[1:]) if re.fullmatch(r"v[0-9]+", variant) else 1
        yield from ((architecture, f"v{lower}" if lower > 1 else "") for lower in range(level - 1, 0, -1))
        yield "386", ""
    elif architecture == "arm64":
        if variant:
            yield "arm64", ""
        yield from (("arm", older) for older in _ARM_VARIANTS)
    elif architecture == "arm" and variant in _ARM_VARIANTS:
        yield from (("arm", older) for older in _ARM_VARIANTS[_ARM_VARIANTS.index(variant) + 1 :])


def _normal_architecture(architecture: str, variant: str) -> tuple[str, str]:
    alias, variant = architecture.lower(), variant.lower()
    variant = _ALIAS_VARIANTS.get(alias, variant)
    name = _ALIASES.get(alias, alias)
    return name, _VARIANTS.get(name, {}).get(variant, variant)


def _from_one_word(specifier: str, head: Platform) -> Platform:
    host = _host()
    normal = head.normalised()
    if normal.os in _SYSTEMS:
        return replace(normal, architecture=host.architecture, variant=host.variant)
    architecture, variant = _normal_architecture(specifier, "")
    if architecture in _ARCHITECTURES:
        return Platform(host.os, architecture, variant)
    raise InvalidInput(f'"{specifier}": unknown operating system or architecture: invalid argument')


def _versions_agree(own: Platform, other: Platform) -> bool:
    if own.os != "windows" or not own.os_version or not other.os_version:
        return True
    return own.os_version.split(".")[:3] == other.os_version.split(".")[:3]


@cache
def _host() -> Platform:
    machine = _python_platform.machine().lower()
    architecture, _, variant = _MACHINES.get(machine, machine).partition("/")
    return Platform(_python_platform.system().lower(), architecture, variant).normalised()
