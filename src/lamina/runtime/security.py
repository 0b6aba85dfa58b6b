"""`--security-opt`, as Docker reads it (moby daemon/daemon_unix.go, parseSecurityOpt)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lamina.errors import InvalidInput
from lamina.formats.booleans import parse_bool


@dataclass(frozen=True, slots=True)
class SecurityOptions:
    """What the options ask for.

    `seccomp` is as `runtime.spec.ContainerSpec` takes it. `apparmor` is a profile's name, "" for the default.
    `labels` are SELinux options such as "disable" or "type:container_t". `writable_cgroups` None follows privilege.
    """

    no_new_privileges: bool = False
    seccomp: str | Mapping[str, Any] = "default"
    apparmor: str = ""
    labels: tuple[str, ...] = ()
    writable_cgroups: bool | None = None

    def profile(self, *, privileged: bool) -> str:
        """Return the AppArmor profile, as `ProcessSpec.apparmor` takes it: privilege lifts the default one."""
        return self.apparmor or ("unconfined" if privileged else "")


def parse(options: Sequence[str]) -> SecurityOptions:
    """Return what the options ask for; the last of a kind wins, and labels add up.

    Raise InvalidInput for an unknown option or a value that cannot be read; moby numbers the two kinds of mistake.
    """
    result = SecurityOptions()
    for option in options:
        result = _with(result, option)
    return result


def _with(result: SecurityOptions, option: str) -> SecurityOptions:
    """Return `result` with a further option."""
    if option in ("no-new-privileges", "writable-cgroups"):
        option += "=true"
    if option == "disable":
        option = "label=disable"
    key, sign, value = option.partition("=" if "=" in option else ":")
    if not sign:
        raise InvalidInput(f'invalid --security-opt 1: "{option}"', option=option)
    match key:
        case "no-new-privileges":
            return replace(result, no_new_privileges=_boolean(option, value))
        case "writable-cgroups":
            return replace(result, writable_cgroups=_boolean(option, value))
        case "seccomp":
            return replace(result, seccomp=_seccomp(value))
        case "apparmor":
            return replace(result, apparmor=value)
        case "label":
            return replace(result, labels=(*result.labels, value))
    raise InvalidInput(f'invalid --security-opt 2: "{option}"', option=option)


def _boolean(option: str, value: str) -> bool:
    try:
        return parse_bool(value)
    except InvalidInput:
        raise InvalidInput(f'invalid --security-opt 2: "{option}"', option=option) from None


def _seccomp(value: str) -> str | Mapping[str, Any]:
    if value == "":
        return "default"
    if value in ("unconfined", "builtin"):
        return value
    try:
        profile = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"decoding seccomp profile failed: {error}") from None
    if not isinstance(profile, dict):
        raise InvalidInput("decoding seccomp profile failed: it is not an object")
    return profile


def check_labels(options: SecurityOptions) -> None:
    """Raise InvalidInput for SELinux labels, which lamina sets on no process and no file."""
    for label in options.labels:
        if label != "disable":
            raise InvalidInput(
                f"--security-opt label={label} cannot be applied: lamina runs containers without SELinux labels",
                advice="Leave the option out, or pass label=disable",
                option=f"label={label}",
            )
