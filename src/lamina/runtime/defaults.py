"""Docker's defaults for Linux containers, as data for config.json (moby daemon/pkg/oci/defaults.go)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

MASKED_PATHS: tuple[str, ...] = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)

READONLY_PATHS: tuple[str, ...] = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def mount(destination: str, type: str, source: str, *options: str) -> dict[str, Any]:
    """One entry of config.json's `mounts`."""
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
    """The device cgroup: nothing but zero, null, urandom, random, tty, console; FUSE named as refused."""
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


def sysctls() -> dict[str, str]:
    """What a container with a network namespace of its own gets: ping sockets and low ports for everyone."""
    wanted = {"net.ipv4.ping_group_range": "0 2147483647", "net.ipv4.ip_unprivileged_port_start": "0"}
    return {name: value for name, value in wanted.items() if Path("/proc/sys", *name.split(".")).exists()}
