"""Which limits can be asked for, and which of them this machine can keep: dockerd's rules, in its words."""

from __future__ import annotations

import os
from typing import TypeVar

import msgspec

from lamina.api.containers import Resources
from lamina.errors import InvalidInput
from lamina.runtime.cgroups.layout import Abilities

MINIMUM_MEMORY = 6 << 20  # bytes, as dockerd
_NO_CGROUP = "or the cgroup is not mounted."

R = TypeVar("R", bound=Resources)


def with_swap(limits: R) -> R:
    """Return `limits` with memory and swap together set to twice the memory, unless they say otherwise."""
    if limits.memory_swap or limits.memory <= 0:
        return limits
    return msgspec.structs.replace(limits, memory_swap=2 * limits.memory)


def check(limits: Resources) -> None:
    """Raise InvalidInput for impossible limits."""
    _check_memory(limits)
    _check_cpu(limits)


def _check_memory(limits: Resources) -> None:
    if limits.memory and limits.memory < MINIMUM_MEMORY:
        raise InvalidInput("Minimum memory limit allowed is 6MB", memory=limits.memory)
    if limits.memory > 0 and 0 < limits.memory_swap < limits.memory:
        raise InvalidInput("Minimum memoryswap limit should be larger than memory limit, see usage")
    if limits.memory <= 0 and limits.memory_swap > 0:
        raise InvalidInput("You should always set the Memory limit when using Memoryswap limit, see usage")
    if 0 < limits.memory_reservation < MINIMUM_MEMORY:
        raise InvalidInput("Minimum memory reservation allowed is 6MB", memory=limits.memory_reservation)
    if 0 < limits.memory < limits.memory_reservation:
        raise InvalidInput("Minimum memory limit can not be less than memory reservation limit, see usage")
    swappiness = limits.memory_swappiness
    if swappiness is not None and swappiness != -1 and not 0 <= swappiness <= 100:
        raise InvalidInput(f"Invalid value: {swappiness}, valid memory swappiness range is 0-100")


def _check_cpu(limits: Resources) -> None:
    if limits.nano_cpus and (limits.cpu_quota or limits.cpu_period):
        raise InvalidInput("Conflicting options: Nano CPUs and CPU Period or Quota cannot both be set")
    cpus = os.cpu_count() or 1
    if not 0 <= limits.nano_cpus <= cpus * 1_000_000_000:
        raise InvalidInput(f"range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available")
    if limits.cpu_shares < 0:
        raise InvalidInput(f"invalid CPU shares ({limits.cpu_shares}): value must be a positive integer")
    if limits.cpu_period and not 1000 <= limits.cpu_period <= 1_000_000:
        raise InvalidInput("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < limits.cpu_quota < 1000:
        raise InvalidInput("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if limits.blkio_weight and not 10 <= limits.blkio_weight <= 1000:
        raise InvalidInput("Range of blkio weight is from 10 to 1000")
    for text, kind, where in (
        (limits.cpuset_cpus, "CPUs", "/sys/devices/system/cpu/online"),
        (limits.cpuset_mems, "memory nodes", "/sys/devices/system/node/online"),
    ):
        available = _numbers(_read(where) or "0")
        if not _numbers(text) <= available:
            listed = ",".join(map(str, sorted(available)))
            raise InvalidInput(f"Requested {kind} are not available - requested {text}, available: {listed}")


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


def _numbers(text: str) -> set[int]:
    """Return the members of a list such as "0-2,7" (cpuset(7), "List format"). Raise InvalidInput."""
    numbers: set[int] = set()
    for part in filter(None, text.split(",")):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or not (last.isdecimal() if dash else True) or len(part) > 9:
            raise InvalidInput(f"Invalid value {text} for cpuset", value=text)
        numbers.update(range(int(first), int(last or first) + 1))
    return numbers


# What the machine must be able to, the limits that need it, and the warning where it is not.
_THROTTLES = ("blkio_device_read_bps", "blkio_device_write_bps", "blkio_device_read_iops", "blkio_device_write_iops")
_RULES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("memory", ("memory",), f"memory limit capabilities {_NO_CGROUP} Limitation discarded."),
    ("reservation", ("memory_reservation",), f"memory soft limit capabilities {_NO_CGROUP} Limitation discarded."),
    ("cpu_shares", ("cpu_shares",), f"CPU shares {_NO_CGROUP} Shares discarded."),
    ("cpu_quota", ("cpu_period", "cpu_quota", "nano_cpus"), "CPU CFS scheduler. CPU period/quota discarded."),
    ("cpuset", ("cpuset_cpus", "cpuset_mems"), f"cpuset {_NO_CGROUP} Cpuset discarded."),
    ("pids", ("pids_limit",), f"PIDs limit capabilities {_NO_CGROUP} PIDs limit discarded."),
    ("oom_kill_disable", ("oom_kill_disable",), "OomKillDisable. OomKillDisable discarded."),
    ("io_weight", ("blkio_weight",), f"Block I/O weight {_NO_CGROUP} Weight discarded."),
    ("io_weight_device", ("blkio_weight_device",), f"Block I/O weight_device {_NO_CGROUP} Weight-device discarded."),
    ("io_throttle", _THROTTLES, f"BPS and IOPS Block I/O limits {_NO_CGROUP} Block I/O limits discarded."),
)


def within(limits: R, able: Abilities) -> tuple[R, tuple[str, ...]]:
    """Return the limits that this machine can keep, and a warning for each other."""
    empty = Resources()
    warnings = []
    for ability, names, what in _RULES:
        if not getattr(able, ability) and any(getattr(limits, name) for name in names):
            limits = msgspec.structs.replace(limits, **{name: getattr(empty, name) for name in names})
            warnings.append(f"Your kernel does not support {what}")
    if limits.memory_swappiness not in (None, -1) and not able.swappiness:
        limits = msgspec.structs.replace(limits, memory_swappiness=None)
        warnings.append(f"Your kernel does not support memory swappiness capabilities {_NO_CGROUP} Discarded.")
    if limits.memory_swap > 0 and not (able.swap and limits.memory):
        if limits.memory:
            what = f"swap limit capabilities {_NO_CGROUP} Memory limited without swap."
            warnings.append(f"Your kernel does not support {what}")
        limits = msgspec.structs.replace(limits, memory_swap=-1)
    return limits, tuple(warnings)
