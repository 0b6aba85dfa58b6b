"""`stats`: what a container uses at one moment."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from lamina.cancellation import Cancellation
from lamina.containers.container import Container
from lamina.containers.record import NEVER
from lamina.formats.times import format_time
from lamina.runtime.cgroups.stats import Stats

SECOND = 1.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStats:
    """One reading of a container; `usage` is None when it does not run.

    `machine_cpu` is the nanoseconds that all CPUs of this machine have spent. `networks` has the counters of each
    interface. `previous` is the reading before, for rates.
    """

    id: str
    name: str
    usage: Stats | None = None
    machine_cpu: int = 0
    online_cpus: int = 0
    networks: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    previous: ContainerStats | None = None

    @property
    def read(self) -> str:
        return format_time(self.usage.time_ns) if self.usage else NEVER

    @property
    def cpu_total(self) -> int:
        return self.usage.cpu_total if self.usage else 0

    @property
    def cpu_percent(self) -> float:
        if self.previous is None or self.machine_cpu <= self.previous.machine_cpu:
            return 0.0
        share = (self.cpu_total - self.previous.cpu_total) / (self.machine_cpu - self.previous.machine_cpu)
        return share * self.online_cpus * 100

    @property
    def memory_usage(self) -> int:
        return self.usage.memory_usage if self.usage else 0

    @property
    def memory_limit(self) -> int:
        if self.usage is None:
            return 0
        limit = self.usage.memory_limit
        return limit if limit >= 0 else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

    @property
    def pids(self) -> int:
        return self.usage.pids if self.usage else 0


def statistics(container: Container) -> ContainerStats:
    """Return one reading."""
    record, task = container.record, container.task
    if task is None or not record.state.running:
        return ContainerStats(id=record.id, name=record.name)
    return ContainerStats(
        id=record.id,
        name=record.name,
        usage=task.stats(),
        machine_cpu=_machine_cpu(),
        online_cpus=os.cpu_count() or 1,
        networks=_networks(record.state.pid, record.host_config.network_mode),
    )


def readings(
    container: Container, *, stream: bool, one_shot: bool, cancellation: Cancellation
) -> Iterator[ContainerStats]:
    """Yield readings a second apart, each with the one before; one alone without `stream`. Raise Cancelled."""
    previous: ContainerStats | None = None
    while not container.removed:
        reading = statistics(container)
        if stream or one_shot or previous is not None or reading.usage is None:
            yield replace(reading, previous=previous)
            if not stream:
                return
        previous = reading
        cancellation.wait(SECOND)
        cancellation.check()


def _machine_cpu() -> int:
    """Return nanoseconds that all CPUs spent so far, idle ones included (the first line of /proc/stat, seven
    columns)."""
    with open("/proc/stat") as file:
        ticks = file.readline().split()[1:8]
    return sum(map(int, ticks)) * 1_000_000_000 // _TICKS


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


def _networks(pid: int, mode: str) -> dict[str, dict[str, int]]:
    """Return the counters of the container's own interfaces; none in the host's network."""
    if mode in ("host", "none") or not pid:
        return {}
    try:
        lines = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
    except OSError:
        return {}
    interfaces = {}
    for line in lines:
        name, _, counters = line.partition(":")
        values = [int(value) for value in counters.split()]
        if name.strip() != "lo":
            interfaces[name.strip()] = {key: values[column] for key, column in _COLUMNS.items()}
    return interfaces
