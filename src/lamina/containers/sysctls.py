"""`--sysctl`: only what belongs to a namespace of the container's own (sysctl(8), namespaces(7)).

Others are the host's, or another container's. The list is runc's (libcontainer/configs/validate).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lamina.api.containers import HostConfig
from lamina.errors import InvalidInput

_IPC = frozenset(
    f"kernel.{name}" for name in ["msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced"]
)
_PART = re.compile(r"[\w:-][\w:./-]*", re.ASCII)


def check_sysctls(host: HostConfig) -> None:
    """Raise InvalidInput for a name that is none, or that reaches beyond the container's own namespaces."""
    own = set(_own_namespaces(host))
    for name in host.sysctls:
        dotted = _dotted(name)
        if dotted == "kernel.hostname":
            raise InvalidInput(f'sysctl "{name}" is not allowed', advice="Set the host name with --hostname", name=name)
        kind = _namespace_of(dotted)
        if not kind:
            raise InvalidInput(f'sysctl "{name}" is not in a separate kernel namespace', name=name)
        if kind not in own:
            raise InvalidInput(
                f'sysctl "{name}" is not allowed: the container has no {kind} namespace of its own', name=name
            )


def _dotted(name: str) -> str:
    """Return the name with dots between its parts, which the first separator in it, dot or slash, stands between."""
    parts = name.split(next((sign for sign in name if sign in "./"), "."))
    if not all(_PART.fullmatch(part) for part in parts):
        raise InvalidInput(f'sysctl "{name}" is not a name of sysctl(8)', name=name)
    return ".".join(parts)


def _namespace_of(dotted: str) -> str:
    """Return the kind of namespace that has the sysctl, "" for the host's."""
    if dotted.startswith("net."):
        return "network"
    if dotted in _IPC or dotted.startswith("fs.mqueue."):
        return "IPC"
    return "UTS" if dotted == "kernel.domainname" else ""


def _own_namespaces(host: HostConfig) -> Iterator[str]:
    modes = {"network": host.network_mode, "IPC": host.ipc_mode, "UTS": host.uts_mode}
    for kind, mode in modes.items():
        if mode != "host" and not mode.startswith("container:"):
            yield kind
