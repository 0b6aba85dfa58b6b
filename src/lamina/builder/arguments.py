"""Build arguments: which names a step sees, with which values.

Rule: Dockerfile reference, "ARG": declared per stage, defaults in the Dockerfile, values from the command line first;
ARGs before the first FROM count for FROM lines, and for an ARG without default in a stage; a stage that begins with
another one has its ARGs. Proxy names need no ARG and stay out of history and cache unless they are declared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lamina.errors import InvalidInput
from lamina.formats.platform import Platform

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
BUILTIN = frozenset(PROXIES) | {name.lower() for name in PROXIES}
EPOCH = "SOURCE_DATE_EPOCH"
TARGET_STAGE = "TARGETSTAGE"
SETTINGS = "BUILDKIT_"  # begins the names of arguments that are for the builder itself
HOST_NAME = f"{SETTINGS}SANDBOX_HOSTNAME"  # of the containers that RUN steps run in
_DIGITS = 11  # of seconds: until the year 5138; RFC 3339 ends with 9999


def epoch_ns(text: str | None) -> int | None:
    """Return a SOURCE_DATE_EPOCH in nanoseconds, None for a missing or empty one. Raise InvalidInput for other text."""
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        raise InvalidInput(f"invalid {EPOCH}: {text[:40]}", advice="Write seconds since 1970, as `date +%s` does.")
    return int(text) * 10**9


def platform_values(target: Platform, build: Platform) -> dict[str, str]:
    """Return TARGETPLATFORM, TARGETOS, … and the same for BUILD…."""
    values: dict[str, str] = {}
    for prefix, platform in (("TARGET", target), ("BUILD", build)):
        values[f"{prefix}PLATFORM"] = str(platform)
        values[f"{prefix}OS"] = platform.os
        values[f"{prefix}OSVERSION"] = platform.os_version
        values[f"{prefix}ARCH"] = platform.architecture
        values[f"{prefix}VARIANT"] = platform.variant
    return values


def predefined_values(target: Platform, build: Platform, stage: str) -> dict[str, str]:
    """Return the arguments that FROM sees without an ARG. `stage` is the name of the target, empty for none."""
    return {**platform_values(target, build), TARGET_STAGE: stage or "default"}


@dataclass(slots=True)
class BuildArgs:
    """The arguments of one build. `given` are those of the command line; `stage` begins a stage's own view.

    `platform` are the predefined ones, of which all but the name of the target follow from the platforms.
    """

    given: Mapping[str, str | None]
    platform: Mapping[str, str]
    meta: dict[str, str | None] = field(default_factory=dict)
    allowed: dict[str, str | None] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def stage(self) -> BuildArgs:
        """Return the arguments of a stage that is built on this one, or on an image where this is the whole build's.

        It sees what is declared here. An argument that any stage uses counts as used in the whole build.
        """
        return BuildArgs(self.given, self.platform, self.meta, dict(self.allowed), self.used)

    @property
    def overridden(self) -> frozenset[str]:
        """Return the names that have a value from the command line."""
        return frozenset(name for name, value in self.given.items() if value is not None)

    def declare_meta(self, name: str, default: str | None) -> None:
        """Declare an ARG before the first FROM."""
        self.meta[name] = default
        self.used.add(name)

    def declare(self, name: str, default: str | None) -> None:
        """Declare an ARG inside the stage."""
        self.allowed[name] = default
        self.used.add(name)

    def _value(self, name: str, defaults: Mapping[str, str | None]) -> str | None:
        value = self.given.get(name)
        if value is not None:
            return value
        default = defaults.get(name)
        if default is not None:
            return default
        meta = self.meta.get(name)
        return meta if meta is not None else self.platform.get(name)

    def for_from(self) -> dict[str, str]:
        """Return the values that FROM lines and later global ARGs see."""
        names = {*self.meta, *BUILTIN, *self.platform}
        return {name: value for name in sorted(names) if (value := self._value(name, self.meta)) is not None}

    def values(self) -> dict[str, str]:
        """Return the values that the stage's instructions see."""
        names = {*self.allowed, *BUILTIN}
        return {name: value for name in sorted(names) if (value := self._value(name, self.allowed)) is not None}

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """Return the values that a RUN step gets in addition to the image's environment, which wins.

        A proxy that was given has its name in both cases, as in BuildKit: programs disagree about the case.
        """
        return {name: value for name, value in {**self._proxies(), **self.values()}.items() if name not in env}

    def _proxies(self) -> dict[str, str]:
        """Return the proxies of the command line under both forms of their names."""
        proxies: dict[str, str] = {}
        for name in PROXIES:
            forms = (name, name.lower())
            value = next((value for form in forms if (value := self.given.get(form)) is not None), None)
            if value is not None:
                proxies.update(dict.fromkeys(forms, value))
        return proxies

    def declared(self, env: Mapping[str, str]) -> dict[str, str]:
        """Return the values that a RUN step gets because an ARG declared them: not the proxies of the build."""
        return {name: value for name, value in self.environment(env).items() if name in self.allowed}

    def recorded(self, env: Mapping[str, str]) -> list[str]:
        """Return the arguments of a RUN step that belong to history and cache key, as sorted `name=value`."""
        values = self.environment(env).items()
        return sorted(f"{name}={value}" for name, value in values if self._is_recorded(name))

    def _is_recorded(self, name: str) -> bool:
        if (
            name in self.platform
            and name != TARGET_STAGE
            and self.given.get(name) is None
            and self.allowed.get(name) is None
        ):
            return False
        return name in self.allowed

    def unused(self) -> list[str]:
        """Return the names from the command line that no ARG declared, sorted."""
        declared = self.used | BUILTIN | {EPOCH}
        return sorted(name for name in self.given if name not in declared and not name.startswith(SETTINGS))

    @property
    def epoch(self) -> str | None:
        """Return the text of SOURCE_DATE_EPOCH, None when it is missing."""
        return self._value(EPOCH, self.meta)

    def set_epoch(self, seconds: int | None) -> None:
        """Put the time that SOURCE_DATE_EPOCH means in the place of its text."""
        text = None if seconds is None else str(seconds)
        if self.given.get(EPOCH) is not None:
            self.given = {**self.given, EPOCH: text}
        if EPOCH in self.meta:
            self.meta[EPOCH] = text

    @property
    def epoch_ns(self) -> int | None:
        """Return SOURCE_DATE_EPOCH in nanoseconds; None when it is missing."""
        return epoch_ns(self.epoch)
