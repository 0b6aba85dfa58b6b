"""Linux capabilities: Docker's defaults, and what --cap-add, --cap-drop and --privileged make of them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from lamina.errors import InvalidInput


def _full(names: str) -> tuple[str, ...]:
    return tuple(f"CAP_{name}" for name in names.split())


# In the order of linux/capability.h: the bit number is the index.
KNOWN: tuple[str, ...] = _full(
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT "
    "SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE "
    "AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ "
    "PERFMON BPF CHECKPOINT_RESTORE"
)

DEFAULT: tuple[str, ...] = _full(
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT "
    "KILL AUDIT_WRITE"
)


@cache
def available() -> tuple[str, ...]:
    """The capabilities this process may give away: those of its bounding set."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            mask = int(line.split()[1], 16)
            return tuple(name for bit, name in enumerate(KNOWN) if mask >> bit & 1)
    return KNOWN


def normalise(names: Iterable[str]) -> list[str]:
    """Names as people write them ("net_admin", "CAP_NET_ADMIN", "all") in their full form.

    Raises InvalidInput for unknown names and for those this machine withholds.
    """
    found = []
    for given in names:
        name = given.upper()
        if name == "ALL":
            found.append(name)
            continue
        if not name.startswith("CAP_"):
            name = f"CAP_{name}"
        if name not in KNOWN:
            raise InvalidInput(f'unknown capability: "{name}"', capability=given)
        if name not in available():
            raise InvalidInput(
                f'capability not supported by your kernel or not available in the current environment: "{name}"',
                capability=given,
            )
        found.append(name)
    return found


def tweak(add: Iterable[str] = (), drop: Iterable[str] = (), *, privileged: bool = False) -> tuple[str, ...]:
    """The capabilities of a container, by Docker's rules: ALL may be added or dropped, dropping comes first."""
    if privileged:
        return available()
    dropped, added = normalise(drop), normalise(add)
    if "ALL" in added:
        return tuple(name for name in available() if name not in dropped)
    if "ALL" in dropped:
        return tuple(dict.fromkeys(added))
    kept = [name for name in DEFAULT if name in available() and name not in dropped]
    return tuple(dict.fromkeys(kept + added))
