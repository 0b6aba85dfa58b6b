"""`--security-opt` and `--restart`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from lamina.api.containers import RestartPolicy
from lamina.errors import InvalidInput

POLICIES = ("no", "always", "on-failure", "unless-stopped")


def security_options(specs: Sequence[str]) -> dict[str, Any]:
    """Return the attributes of HostConfig that `--security-opt` sets, with seccomp profiles read from their files.

    Raise InvalidInput for an option without its value, or a profile that cannot be read.
    """
    options, paths = list[str](), dict[str, tuple[str, ...]]()
    for spec in specs:
        separator = "=" if "=" in spec else ":"
        name, _, value = spec.partition(separator)
        if name != "no-new-privileges" and not value:
            raise InvalidInput(f"invalid --security-opt: {spec!r}", advice="Write it as name=value")
        if spec == "systempaths=unconfined":
            paths = {"masked_paths": (), "readonly_paths": ()}
        elif name == "seccomp" and value not in ("builtin", "unconfined"):
            options.append(f"seccomp={_profile(value)}")
        else:
            options.append(spec)
    return {"security_opt": tuple(options), **paths}


def _profile(path: str) -> str:
    try:
        with open(path) as file:
            return json.dumps(json.load(file), separators=(",", ":"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"cannot use the seccomp profile {path} ({error})") from error


def restart_policy(text: str) -> RestartPolicy:
    """Return the policy that a text such as "on-failure:3" names. Raise InvalidInput."""
    name, colon, count = text.partition(":")
    if name not in POLICIES and text:
        raise InvalidInput(f"invalid restart policy {text!r}", advice=f"Give one of {', '.join(POLICIES)}")
    if colon and not count.isdecimal():
        raise InvalidInput(f"invalid restart policy {text!r}: the number of tries is no whole number")
    return RestartPolicy(name=name, maximum_retry_count=int(count) if colon else 0)
