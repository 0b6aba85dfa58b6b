"""`stats`: what a container uses, in the shape that Docker's clients reckon with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lamina.containers.container import Container
from lamina.containers.record import NEVER
from lamina.formats.times import format_time
from lamina.runtime.cgroups.stats import BlockIo, Stats

_TICKS = os.sysconf("SC_CLK_TCK")


def statistics(container: Container) -> dict[str, Any]:
    """One reading; all zeros for a container that does not run. `precpu_stats` is left to who reads twice."""
    record = container.record
    shown: dict[str, Any] = {
        "id": record.id,
        "name": f"/{record.name}",
        "read": NEVER,
        "preread": NEVER,
        "num_procs": 0,
        "pids_stats": {},
        "cpu_stats": empty_cpu(),
        "precpu_stats": empty_cpu(),
        "memory_stats": {},
        "blkio_stats": {},
        "storage_stats": {},
    }
    task = container.task
    if task is None or not record.state.running:
        return shown
    stats = task.stats()
    shown |= {
        "read": format_time(stats.time_ns),
        "pids_stats": {"current": stats.pids} | ({"limit": stats.pids_limit} if stats.pids_limit > 0 else {}),
        "cpu_stats": cpu(stats),
        "memory_stats": memory(stats),
        "blkio_stats": block_io(stats),
    }
    interfaces = networks(record.state.pid, record.host_config.network_mode)
    return shown | ({"networks": interfaces} if interfaces else {})


def empty_cpu() -> dict[str, Any]:
    """What `precpu_stats` is before there is an earlier look."""
    return {
        "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
        "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
    }


def cpu(stats: Stats) -> dict[str, Any]:
    """CPU time in nanoseconds, with the whole machine's beside it."""
    usage: dict[str, Any] = {
        "total_usage": stats.cpu_total,
        "usage_in_kernelmode": stats.cpu_system,
        "usage_in_usermode": stats.cpu_user,
    }
    if stats.cpu_per_core:
        usage["percpu_usage"] = list(stats.cpu_per_core)
    return {
        "cpu_usage": usage,
        "system_cpu_usage": _machine_cpu(),
        "online_cpus": os.cpu_count() or 1,
        "throttling_data": {
            "periods": stats.periods,
            "throttled_periods": stats.throttled_periods,
            "throttled_time": stats.throttled_time,
        },
    }


def _machine_cpu() -> int:
    """Nanoseconds that all CPUs spent so far, idle ones included (the first line of /proc/stat, seven columns)."""
    with open("/proc/stat") as file:
        ticks = file.readline().split()[1:8]
    return sum(map(int, ticks)) * 1_000_000_000 // _TICKS


def memory(stats: Stats) -> dict[str, Any]:
    """Memory in bytes; no limit shows as the machine's memory."""
    limit = stats.memory_limit
    if limit < 0:
        limit = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    shown: dict[str, Any] = {"usage": stats.memory_usage, "stats": dict(stats.memory), "limit": limit}
    if not stats.v2:
        shown |= {"max_usage": stats.memory_max_usage, "failcnt": stats.memory_failures}
    return shown


def block_io(stats: Stats) -> dict[str, Any]:
    """Block I/O, by device and operation."""

    def entries(counters: tuple[BlockIo, ...]) -> list[dict[str, Any]]:
        return [{"major": c.major, "minor": c.minor, "op": c.op, "value": c.value} for c in counters]

    return {
        "io_service_bytes_recursive": entries(stats.io_bytes) or None,
        "io_serviced_recursive": entries(stats.io_operations) or None,
        "io_queue_recursive": None,
        "io_service_time_recursive": None,
        "io_wait_time_recursive": None,
        "io_merged_recursive": None,
        "io_time_recursive": None,
        "sectors_recursive": None,
    }


_COLUMNS = {
    "rx_bytes": 0,
    "rx_packets": 1,
    "rx_errors": 2,
    "rx_dropped": 3,
    "tx_bytes": 8,
    "tx_packets": 9,
    "tx_errors": 10,
    "tx_dropped": 11,
}


def networks(pid: int, mode: str) -> dict[str, dict[str, int]]:
    """Counters of the container's own interfaces; none in the host's network."""
    if mode in ("host", "none") or not pid:
        return {}
    try:
        lines = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
    except OSError:
        return {}
    found = {}
    for line in lines:
        name, _, counters = line.partition(":")
        values = [int(value) for value in counters.split()]
        if name.strip() != "lo":
            found[name.strip()] = {key: values[column] for key, column in _COLUMNS.items()}
    return found
