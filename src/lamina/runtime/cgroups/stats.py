"""What a cgroup has used: CPU, memory, block I/O, processes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lamina.runtime.cgroups.layout import Layout


@dataclass(frozen=True, slots=True)
class BlockIo:
    """One counter of one device; `op` is "read", "write" and so on."""

    major: int
    minor: int
    op: str
    value: int


@dataclass(frozen=True, slots=True)
class Stats:
    """Counters at `time_ns`. CPU in nanoseconds, memory in bytes; -1 for "no limit" of pids and memory."""

    time_ns: int
    v2: bool
    cpu_total: int = 0
    cpu_user: int = 0
    cpu_system: int = 0
    cpu_per_core: tuple[int, ...] = ()
    periods: int = 0
    throttled_periods: int = 0
    throttled_time: int = 0
    memory_usage: int = 0
    memory_max_usage: int = 0
    memory_limit: int = -1
    memory_failures: int = 0
    memory: Mapping[str, int] = field(default_factory=dict)
    pids: int = 0
    pids_limit: int = -1
    io_bytes: tuple[BlockIo, ...] = ()
    io_operations: tuple[BlockIo, ...] = ()


def read(layout: Layout, path: str) -> Stats:
    """Read the counters of the cgroup at `path`; what is not there counts as zero."""
    return _read_v2(layout, path) if layout.v2 else _read_v1(layout, path)


def _text(directory: Path | None, name: str) -> str:
    if directory is None:
        return ""
    try:
        return (directory / name).read_text()
    except OSError:
        return ""


def _number(directory: Path | None, name: str, default: int = 0) -> int:
    text = _text(directory, name).strip()
    return int(text) if text.lstrip("-").isdigit() else -1 if text == "max" else default


def _table(text: str) -> dict[str, int]:
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


_NO_LIMIT_V1 = 1 << 62  # the kernel shows "no limit" as LONG_MAX rounded down to a page


def _read_v1(layout: Layout, path: str) -> Stats:
    usage = layout.directory("cpuacct", path)
    cpu = _table(_text(layout.directory("cpu", path), "cpu.stat"))
    memory = layout.directory("memory", path)
    limit = _number(memory, "memory.limit_in_bytes", -1)
    pids, blkio = layout.directory("pids", path), layout.directory("blkio", path)
    return Stats(
        time_ns=time.time_ns(),
        v2=False,
        cpu_total=_number(usage, "cpuacct.usage"),
        cpu_user=_number(usage, "cpuacct.usage_user"),
        cpu_system=_number(usage, "cpuacct.usage_sys"),
        cpu_per_core=tuple(int(value) for value in _text(usage, "cpuacct.usage_percpu").split()),
        periods=cpu.get("nr_periods", 0),
        throttled_periods=cpu.get("nr_throttled", 0),
        throttled_time=cpu.get("throttled_time", 0),
        memory_usage=_number(memory, "memory.usage_in_bytes"),
        memory_max_usage=_number(memory, "memory.max_usage_in_bytes"),
        memory_limit=-1 if limit >= _NO_LIMIT_V1 else limit,
        memory_failures=_number(memory, "memory.failcnt"),
        memory=_table(_text(memory, "memory.stat")),
        pids=_number(pids, "pids.current"),
        pids_limit=_number(pids, "pids.max", -1),
        io_bytes=_blkio(_text(blkio, "blkio.throttle.io_service_bytes_recursive")),
        io_operations=_blkio(_text(blkio, "blkio.throttle.io_serviced_recursive")),
    )


def _blkio(text: str) -> tuple[BlockIo, ...]:
    counters = []
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and ":" in words[0]:
            major, minor = words[0].split(":")
            counters.append(BlockIo(int(major), int(minor), words[1].lower(), int(words[2])))
    return tuple(counters)


def _read_v2(layout: Layout, path: str) -> Stats:
    directory = layout.directory("", path)
    cpu = _table(_text(directory, "cpu.stat"))
    io_bytes, io_operations = _io(_text(directory, "io.stat"))
    return Stats(
        time_ns=time.time_ns(),
        v2=True,
        cpu_total=cpu.get("usage_usec", 0) * 1000,
        cpu_user=cpu.get("user_usec", 0) * 1000,
        cpu_system=cpu.get("system_usec", 0) * 1000,
        periods=cpu.get("nr_periods", 0),
        throttled_periods=cpu.get("nr_throttled", 0),
        throttled_time=cpu.get("throttled_usec", 0) * 1000,
        memory_usage=_number(directory, "memory.current"),
        memory_max_usage=_number(directory, "memory.peak"),
        memory_limit=_number(directory, "memory.max", -1),
        memory_failures=_table(_text(directory, "memory.events")).get("max", 0),
        memory=_table(_text(directory, "memory.stat")),
        pids=_number(directory, "pids.current"),
        pids_limit=_number(directory, "pids.max", -1),
        io_bytes=io_bytes,
        io_operations=io_operations,
    )


def _io(text: str) -> tuple[tuple[BlockIo, ...], tuple[BlockIo, ...]]:
    """Parse io.stat: `8:0 rbytes=… wbytes=… rios=… wios=…`."""
    sizes, counts = [], []
    for line in text.splitlines():
        device, *fields = line.split()
        major, minor = (int(part) for part in device.split(":"))
        values = dict(pair.split("=", 1) for pair in fields if "=" in pair)
        for op, size, count in (("read", "rbytes", "rios"), ("write", "wbytes", "wios")):
            sizes.append(BlockIo(major, minor, op, int(values.get(size, 0))))
            counts.append(BlockIo(major, minor, op, int(values.get(count, 0))))
    return tuple(sizes), tuple(counts)
