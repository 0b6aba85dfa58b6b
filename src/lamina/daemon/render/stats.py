"""What containers use as JSON, in the shape that Docker's clients reckon with."""

from __future__ import annotations

from typing import Any

from lamina.containers.statistics import ContainerStats
from lamina.runtime.cgroups.stats import BlockIo, Stats

_NEVER = "0001-01-01T00:00:00Z"


def stats(item: ContainerStats) -> dict[str, Any]:
    """Return one reading of `GET /containers/{id}/stats`; all zeros for a container that does not run."""
    before, usage = item.previous, item.usage
    document: dict[str, Any] = {
        "id": item.id,
        "name": f"/{item.name}",
        "os_type": "linux",
        "read": item.read,
        "preread": before.read if before else _NEVER,
        "num_procs": 0,
        "pids_stats": _pids(usage) if usage else {},
        "cpu_stats": _cpu(item),
        "precpu_stats": _cpu(before) if before else _cpu(None),
        "memory_stats": _memory(item, usage) if usage else {},
        "blkio_stats": _block_io(usage) if usage else {},
        "storage_stats": {},
    }
    return document | ({"networks": dict(item.networks)} if item.networks else {})


def _pids(usage: Stats) -> dict[str, int]:
    return {"current": usage.pids} | ({"limit": usage.pids_limit} if usage.pids_limit > 0 else {})


def _cpu(item: ContainerStats | None) -> dict[str, Any]:
    """Return CPU time in nanoseconds, with the whole machine's beside it; zeros without a reading."""
    usage = item.usage if item else None
    document: dict[str, Any] = {
        "cpu_usage": {
            "total_usage": usage.cpu_total if usage else 0,
            "usage_in_kernelmode": usage.cpu_system if usage else 0,
            "usage_in_usermode": usage.cpu_user if usage else 0,
        },
        "throttling_data": {
            "periods": usage.periods if usage else 0,
            "throttled_periods": usage.throttled_periods if usage else 0,
            "throttled_time": usage.throttled_time if usage else 0,
        },
    }
    if item is None or usage is None:
        return document
    if usage.cpu_per_core:
        document["cpu_usage"]["percpu_usage"] = list(usage.cpu_per_core)
    return document | {"system_cpu_usage": item.machine_cpu, "online_cpus": item.online_cpus}


def _memory(item: ContainerStats, usage: Stats) -> dict[str, Any]:
    """Return memory in bytes; no limit shows as the machine's memory."""
    document: dict[str, Any] = {"usage": usage.memory_usage, "stats": dict(usage.memory), "limit": item.memory_limit}
    if not usage.v2:
        document |= {"max_usage": usage.memory_max_usage, "failcnt": usage.memory_failures}
    return document


def _block_io(usage: Stats) -> dict[str, Any]:
    """Return block I/O, by device and operation."""

    def entries(counters: tuple[BlockIo, ...]) -> list[dict[str, Any]]:
        return [{"major": c.major, "minor": c.minor, "op": c.op, "value": c.value} for c in counters]

    return {
        "io_service_bytes_recursive": entries(usage.io_bytes) or None,
        "io_serviced_recursive": entries(usage.io_operations) or None,
        "io_queue_recursive": None,
        "io_service_time_recursive": None,
        "io_wait_time_recursive": None,
        "io_merged_recursive": None,
        "io_time_recursive": None,
        "sectors_recursive": None,
    }
