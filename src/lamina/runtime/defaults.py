"""Docker's defaults for Linux containers (moby daemon/pkg/oci/defaults.go), and what options make of its capabilities.

Mounts, devices, paths and sysctls are data for config.json.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from lamina.errors import InvalidInput

MASKED_PATHS: tuple[str, ...] = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)

READONLY_PATHS: tuple[str, ...] = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

LAST_GID = 2**31 - 1  # the last that net.ipv4.ping_group_range takes (ip-sysctl.rst)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _capability_names(names: str) -> tuple[str, ...]:
    return tuple(f"CAP_{name}" for name in names.split())


# In the order of linux/capability.h: the bit number is the index.
KNOWN_CAPABILITIES: tuple[str, ...] = _capability_names(
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT "
    "SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE "
    "AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ "
    "PERFMON BPF CHECKPOINT_RESTORE"
)

DEFAULT_CAPABILITIES: tuple[str, ...] = _capability_names(
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT "
    "KILL AUDIT_WRITE"
)


@cache
def available_capabilities() -> tuple[str, ...]:
    """Return the capabilities this process may give away: those of its bounding set."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            mask = int(line.split()[1], 16)
            return tuple(name for bit, name in enumerate(KNOWN_CAPABILITIES) if mask >> bit & 1)
    return KNOWN_CAPABILITIES


def normalise_capabilities(names: Iterable[str]) -> list[str]:
    """Return names as people write them ("net_admin", "CAP_NET_ADMIN", "all") in their full form.

    Raise InvalidInput for unknown names and for those this machine withholds.
    """
    full_names = []
    for written in names:
        name = written.upper()
        if name == "ALL":
            full_names.append(name)
            continue
        if not name.startswith("CAP_"):
            name = f"CAP_{name}"
        if name not in KNOWN_CAPABILITIES:
            raise InvalidInput(f'unknown capability: "{name}"', capability=written)
        if name not in available_capabilities():
            raise InvalidInput(
                f'capability not supported by your kernel or not available in the current environment: "{name}"',
                capability=written,
            )
        full_names.append(name)
    return full_names


def _named(field: str, names: Iterable[str]) -> list[str]:
    try:
        return normalise_capabilities(names)
    except InvalidInput as error:
        raise InvalidInput(f"invalid {field}: {error.message}", **error.facts) from None


def granted_capabilities(
    add: Iterable[str] = (), drop: Iterable[str] = (), *, privileged: bool = False
) -> tuple[str, ...]:
    """Return the capabilities of a container, by Docker's rules: ALL may be added or dropped, dropping comes first."""
    if privileged:
        return available_capabilities()
    dropped, added = _named("CapDrop", drop), _named("CapAdd", add)
    if "ALL" in added:
        return tuple(name for name in available_capabilities() if name not in dropped)
    if "ALL" in dropped:
        return tuple(dict.fromkeys(added))
    remaining = [name for name in DEFAULT_CAPABILITIES if name in available_capabilities() and name not in dropped]
    return tuple(dict.fromkeys(remaining + added))


def mount(destination: str, type: str, source: str, *options: str) -> dict[str, Any]:
    """Return one entry of config.json's `mounts`."""
    return {"destination": destination, "type": type, "source": source, "options": list(options)}


def mounts(shm_size: int, writable_sys: bool, writable_cgroups: bool) -> list[dict[str, Any]]:
    """Return the mounts that every container has; `shm_size` is in bytes, 0 for no /dev/shm."""
    closed = ("nosuid", "noexec", "nodev")
    shared_memory = mount("/dev/shm", "tmpfs", "shm", *closed, "mode=1777", f"size={shm_size}")
    return [
        mount("/proc", "proc", "proc", *closed),
        mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        mount("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
        mount("/sys", "sysfs", "sysfs", *closed, *(() if writable_sys else ("ro",))),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", *closed, *(() if writable_cgroups else ("ro",))),
        mount("/dev/mqueue", "mqueue", "mqueue", *closed),
        *((shared_memory,) if shm_size else ()),
    ]


def _device(major: int, minor: int, *, allow: bool = True) -> dict[str, Any]:
    return {"allow": allow, "type": "c", "major": major, "minor": minor, "access": "rwm"}


def device_rules() -> list[dict[str, Any]]:
    """Return the device cgroup: nothing but zero, null, urandom, random, tty, console; FUSE named as refused."""
    return [
        {"allow": False, "access": "rwm"},
        _device(1, 5),
        _device(1, 3),
        _device(1, 9),
        _device(1, 8),
        _device(5, 0),
        _device(5, 1),
        _device(10, 229, allow=False),
    ]


def sysctls(last_gid: int = LAST_GID) -> dict[str, str]:
    """Return what a container with a network namespace of its own gets: ping sockets and low ports for everyone.

    `last_gid` is the last group that the container knows.
    """
    settings = {"net.ipv4.ping_group_range": f"0 {last_gid}", "net.ipv4.ip_unprivileged_port_start": "0"}
    return {name: value for name, value in settings.items() if Path("/proc/sys", *name.split(".")).exists()}
