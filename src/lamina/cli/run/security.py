"""`--security-opt` and `--restart`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from lamina.errors import InvalidInput

POLICIES = ("no", "always", "on-failure", "unless-stopped")


def security_options(specs: Sequence[str]) -> dict[str, Any]:
    """HostConfig's SecurityOpt, with seccomp profiles read from their files, and what systempaths means.

    Raises InvalidInput for an option without its value, or a profile that cannot be read.
    """
    found: dict[str, Any] = {"SecurityOpt": []}
    for spec in specs:
        separator = "=" if "=" in spec else ":"
        name, _, value = spec.partition(separator)
        if name != "no-new-privileges" and not value:
            raise InvalidInput(f"invalid --security-opt: {spec!r}", advice="Write it as name=value")
        if spec == "systempaths=unconfined":
            found |= {"MaskedPaths": [], "ReadonlyPaths": []}
        elif name == "seccomp" and value not in ("builtin", "unconfined"):
            found["SecurityOpt"].append(f"seccomp={_profile(value)}")
        else:
            found["SecurityOpt"].append(spec)
    return found


def _profile(path: str) -> str:
    try:
        with open(path) as file:
            return json.dumps(json.load(file), separators=(",", ":"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"cannot use the seccomp profile {path} ({error})") from error


def restart_policy(text: str) -> dict[str, Any]:
    """HostConfig.RestartPolicy of "on-failure:3". Raises InvalidInput."""
    name, colon, count = text.partition(":")
    if name not in POLICIES and text:
        raise InvalidInput(f"invalid restart policy {text!r}", advice=f"Give one of {', '.join(POLICIES)}")
    if colon and not count.isdecimal():
        raise InvalidInput(f"invalid restart policy {text!r}: the number of tries is no whole number")
    return {"Name": name, "MaximumRetryCount": int(count) if colon else 0}
