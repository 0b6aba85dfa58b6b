"""Limits and devices: memory, CPUs, block I/O, ulimits."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from typing import Any

from lamina.api.containers import DeviceMapping, DeviceRequest, RateDevice, Ulimit, WeightDevice
from lamina.errors import InvalidInput
from lamina.formats.sizes import parse_size

Flags = Mapping[str, Any]
RULE = re.compile(r"[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}")
ULIMITS = (
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
    "rttime", "sigpending", "stack",
)  # fmt: skip


def size(text: str, what: str = "size") -> int:
    """Bytes; 0 for an empty text, -1 for "-1" where that means no limit. Raises InvalidInput."""
    if what == "--memory-swap" and text == "-1":
        return -1
    return parse_size(text, what) if text else 0


def resources(flags: Flags) -> dict[str, Any]:
    """Return the attributes of `api.Resources` that the flags set. Raise InvalidInput."""
    swappiness = flags["memory_swappiness"]
    if not -1 <= swappiness <= 100:
        raise InvalidInput(f"memory swappiness {swappiness} is not between 0 and 100")
    return {
        "blkio_weight": flags["blkio_weight"],
        "blkio_weight_device": tuple(_weight(spec) for spec in flags["blkio_weight_device"]),
        "blkio_device_read_bps": _rates(flags, "device_read_bps", sized=True),
        "blkio_device_write_bps": _rates(flags, "device_write_bps", sized=True),
        "blkio_device_read_iops": _rates(flags, "device_read_iops"),
        "blkio_device_write_iops": _rates(flags, "device_write_iops"),
        "cgroup_parent": flags["cgroup_parent"],
        "cpu_realtime_period": flags["cpu_rt_period"],
        "cpu_realtime_runtime": flags["cpu_rt_runtime"],
        "device_cgroup_rules": tuple(_rule(text) for text in flags["device_cgroup_rule"]),
        "device_requests": gpu_requests(flags["gpus"]),
        "devices": tuple(parse_device(spec) for spec in flags["device"]),
        "memory_swappiness": swappiness if swappiness >= 0 else None,
        "oom_kill_disable": flags["oom_kill_disable"] or None,
        "ulimits": tuple(parse_ulimit(spec) for spec in flags["ulimit"]),
        **changeable(flags),
    }


def changeable(flags: Flags) -> dict[str, Any]:
    """Return the attributes that `update` can change too; 0 or empty when a flag was left out."""
    return {
        "cpu_period": flags["cpu_period"],
        "cpu_quota": flags["cpu_quota"],
        "cpu_shares": flags["cpu_shares"],
        "cpuset_cpus": flags["cpuset_cpus"],
        "cpuset_mems": flags["cpuset_mems"],
        "memory": size(flags["memory"], "--memory"),
        "memory_reservation": size(flags["memory_reservation"], "--memory-reservation"),
        "memory_swap": size(flags["memory_swap"], "--memory-swap"),
        "nano_cpus": nano_cpus(flags["cpus"]),
        "pids_limit": flags["pids_limit"] or None,
    }


def nano_cpus(text: str) -> int:
    """Billionths of a CPU of "1.5". Raises InvalidInput."""
    if not text:
        return 0
    if not re.fullmatch(r"\d*\.?\d+|\d+\.", text) or len(text.partition(".")[2]) > 9:
        raise InvalidInput(f"{text!r} is not a number of CPUs", advice="Write it like 0.5 or 2")
    return round(float(text) * 10**9)


def parse_device(spec: str) -> DeviceMapping:
    """HOST[:CONTAINER][:PERMISSIONS]. Raises InvalidInput."""
    host, *rest = spec.split(":")
    permissions = "rwm"
    if rest and re.fullmatch("[rwm]{1,3}", rest[-1]):
        permissions = rest.pop()
    if len(rest) > 1 or not host:
        raise InvalidInput(f"invalid device {spec!r}", advice="Write it as PATH[:PATH_INSIDE[:rwm]]")
    inside = rest[0] if rest and rest[0] else host
    return DeviceMapping(path_on_host=host, path_in_container=inside, cgroup_permissions=permissions)


def parse_ulimit(spec: str) -> Ulimit:
    """NAME=SOFT[:HARD]; -1 is no limit. Raises InvalidInput."""
    name, equals, limits = spec.partition("=")
    soft, colon, hard = limits.partition(":")
    try:
        values = int(soft), int(hard) if colon else int(soft)
    except ValueError:
        raise InvalidInput(f"invalid ulimit {spec!r}", advice="Write it as name=soft[:hard]") from None
    if name not in ULIMITS:
        raise InvalidInput(f"invalid ulimit type: {name}", advice=f"Known are {', '.join(ULIMITS)}")
    if not equals or (values[1] != -1 and (values[0] > values[1] or values[0] == -1)):
        raise InvalidInput(f"invalid ulimit {spec!r}: the soft limit is above the hard one")
    return Ulimit(name=name, soft=values[0], hard=values[1])


def gpu_requests(spec: str) -> tuple[DeviceRequest, ...]:
    """Return what `--gpus` asks for: "all", a number, or `device=…,capabilities=…`. Raise InvalidInput."""
    if not spec:
        return ()
    driver, count, devices = "", 0, tuple[str, ...]()
    capabilities: tuple[str, ...] = ("gpu",)
    for field in next(csv.reader([spec]), []):
        key, equals, value = field.partition("=")
        if not equals:
            key, value = "count", key
        if key == "count":
            if value != "all" and not value.isdecimal():
                raise InvalidInput(f"invalid number of GPUs {value!r}", advice="Give a whole number, or all")
            count = -1 if value == "all" else int(value)
        elif key == "device":
            devices = tuple(value.split(","))
        elif key == "driver":
            driver = value
        elif key == "capabilities":
            capabilities = (*value.split(","), "gpu")
        else:
            raise InvalidInput(f"unexpected key {key!r} in --gpus")
    count = count or (0 if devices else 1)
    return (DeviceRequest(driver=driver, count=count, device_ids=devices, capabilities=(capabilities,)),)


def _weight(spec: str) -> WeightDevice:
    path, number = _device_and_number(spec, "--blkio-weight-device", sized=False)
    return WeightDevice(path=path, weight=number)


def _rates(flags: Flags, name: str, sized: bool = False) -> tuple[RateDevice, ...]:
    flag = f"--{name.replace('_', '-')}"
    parts = (_device_and_number(spec, flag, sized) for spec in flags[name])
    return tuple(RateDevice(path=path, rate=number) for path, number in parts)


def _device_and_number(spec: str, flag: str, sized: bool) -> tuple[str, int]:
    path, colon, value = spec.rpartition(":")
    if not colon or not path.startswith("/dev/") or not (sized or value.isdecimal()):
        raise InvalidInput(f"invalid value {spec!r} of {flag}", advice="Write it as /dev/NAME:NUMBER")
    return path, parse_size(value, "rate") if sized else int(value)


def _rule(text: str) -> str:
    if not RULE.fullmatch(text):
        raise InvalidInput(f"invalid device rule {text!r}", advice="Write it like 'c 42:* rmw'")
    return text
