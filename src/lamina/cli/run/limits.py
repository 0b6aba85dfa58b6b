"""Limits and devices: memory, CPUs, block I/O, ulimits."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from typing import Any

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
    """The limits among HostConfig's keys, those that were given. Raises InvalidInput."""
    swappiness = flags["memory_swappiness"]
    if not -1 <= swappiness <= 100:
        raise InvalidInput(f"memory swappiness {swappiness} is not between 0 and 100")
    given: dict[str, Any] = {
        "BlkioWeight": flags["blkio_weight"],
        "BlkioWeightDevice": [_rate(spec, "Weight", "--blkio-weight-device") for spec in flags["blkio_weight_device"]],
        "CgroupParent": flags["cgroup_parent"],
        "CpuCount": flags["cpu_count"],
        "CpuPercent": flags["cpu_percent"],
        "CpuRealtimePeriod": flags["cpu_rt_period"],
        "CpuRealtimeRuntime": flags["cpu_rt_runtime"],
        "DeviceCgroupRules": [_rule(text) for text in flags["device_cgroup_rule"]],
        "DeviceRequests": gpu_requests(flags["gpus"]),
        "Devices": [parse_device(spec) for spec in flags["device"]],
        "OomKillDisable": flags["oom_kill_disable"] or None,
        "OomScoreAdj": flags["oom_score_adj"],
        "Ulimits": [parse_ulimit(spec) for spec in flags["ulimit"]],
        **changeable(flags),
    }
    for flag, key in (("read_bps", "ReadBps"), ("write_bps", "WriteBps")):
        given[f"BlkioDevice{key}"] = [_rate(s, "Rate", flag, sized=True) for s in flags[f"device_{flag}"]]
    for flag, key in (("read_iops", "ReadIOps"), ("write_iops", "WriteIOps")):
        given[f"BlkioDevice{key}"] = [_rate(s, "Rate", flag) for s in flags[f"device_{flag}"]]
    if swappiness >= 0:
        given["MemorySwappiness"] = swappiness
    return {name: value for name, value in given.items() if value or (name == "MemorySwappiness")}


def changeable(flags: Flags) -> dict[str, Any]:
    """The limits that `update` can change too; 0 or empty where they were not given."""
    return {
        "CpuPeriod": flags["cpu_period"],
        "CpuQuota": flags["cpu_quota"],
        "CpuShares": flags["cpu_shares"],
        "CpusetCpus": flags["cpuset_cpus"],
        "CpusetMems": flags["cpuset_mems"],
        "Memory": size(flags["memory"], "--memory"),
        "MemoryReservation": size(flags["memory_reservation"], "--memory-reservation"),
        "MemorySwap": size(flags["memory_swap"], "--memory-swap"),
        "NanoCpus": nano_cpus(flags["cpus"]),
        "PidsLimit": flags["pids_limit"],
    }


def nano_cpus(text: str) -> int:
    """Billionths of a CPU of "1.5". Raises InvalidInput."""
    if not text:
        return 0
    if not re.fullmatch(r"\d*\.?\d+|\d+\.", text) or len(text.partition(".")[2]) > 9:
        raise InvalidInput(f"{text!r} is not a number of CPUs", advice="Write it like 0.5 or 2")
    return round(float(text) * 10**9)


def parse_device(spec: str) -> dict[str, str]:
    """HOST[:CONTAINER][:PERMISSIONS]. Raises InvalidInput."""
    host, *rest = spec.split(":")
    permissions = "rwm"
    if rest and re.fullmatch("[rwm]{1,3}", rest[-1]):
        permissions = rest.pop()
    if len(rest) > 1 or not host:
        raise InvalidInput(f"invalid device {spec!r}", advice="Write it as PATH[:PATH_INSIDE[:rwm]]")
    inside = rest[0] if rest and rest[0] else host
    return {"PathOnHost": host, "PathInContainer": inside, "CgroupPermissions": permissions}


def parse_ulimit(spec: str) -> dict[str, Any]:
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
    return {"Name": name, "Soft": values[0], "Hard": values[1]}


def gpu_requests(spec: str) -> list[dict[str, Any]]:
    """HostConfig.DeviceRequests of `--gpus`: "all", a number, or `device=…,capabilities=…`. Raises InvalidInput."""
    if not spec:
        return []
    request: dict[str, Any] = {"Driver": "", "Count": 0, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}
    for field in next(csv.reader([spec]), []):
        key, equals, value = field.partition("=")
        if not equals:
            key, value = "count", key
        if key == "count":
            if value != "all" and not value.isdecimal():
                raise InvalidInput(f"invalid number of GPUs {value!r}", advice="Give a whole number, or all")
            request["Count"] = -1 if value == "all" else int(value)
        elif key == "device":
            request["DeviceIDs"] = value.split(",")
        elif key == "driver":
            request["Driver"] = value
        elif key == "capabilities":
            request["Capabilities"] = [[*value.split(","), "gpu"]]
        else:
            raise InvalidInput(f"unexpected key {key!r} in --gpus")
    if not request["Count"] and not request["DeviceIDs"]:
        request["Count"] = 1
    return [request]


def _rate(spec: str, key: str, flag: str, sized: bool = False) -> dict[str, Any]:
    path, colon, value = spec.rpartition(":")
    if not colon or not path.startswith("/dev/") or not (sized or value.isdecimal()):
        raise InvalidInput(f"invalid value {spec!r} of {flag}", advice="Write it as /dev/NAME:NUMBER")
    return {"Path": path, key: parse_size(value, "rate") if sized else int(value)}


def _rule(text: str) -> str:
    if not RULE.fullmatch(text):
        raise InvalidInput(f"invalid device rule {text!r}", advice="Write it like 'c 42:* rmw'")
    return text
