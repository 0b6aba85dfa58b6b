"""`--security-opt`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lamina.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Security:
    """What the options ask for; `seccomp` as `runtime.spec.ContainerSpec` takes it."""

    no_new_privileges: bool = False
    seccomp: str | Mapping[str, Any] = "default"


def parse(options: Sequence[str]) -> Security:
    """Reads the options. AppArmor and SELinux labels are taken and have no effect where the kernel has neither.

    Raises InvalidInput.
    """
    no_new_privileges, seccomp = False, "default"
    profile: Mapping[str, Any] | None = None
    for option in options:
        key, sign, value = option.partition("=") if "=" in option else option.partition(":")
        if key == "no-new-privileges":
            no_new_privileges = value.lower() != "false"
        elif key == "seccomp" and value in ("unconfined", "builtin", ""):
            seccomp = "unconfined" if value == "unconfined" else "default"
        elif key == "seccomp":
            profile = _profile(value)
        elif key not in ("apparmor", "label", "systempaths") or not sign:
            raise InvalidInput(f"invalid --security-opt: {option!r}", option=option)
    return Security(no_new_privileges, seccomp if profile is None else profile)


def _profile(text: str) -> Mapping[str, Any]:
    try:
        profile = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"decoding seccomp profile failed: {error}") from None
    if not isinstance(profile, dict):
        raise InvalidInput("decoding seccomp profile failed: it is not an object")
    return profile
