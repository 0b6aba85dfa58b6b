"""Which limits this machine's cgroups can keep."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lamina.runtime.cgroups.layout import Layout


@dataclass(frozen=True, slots=True)
class Abilities:
    """One member for each kind of limit, by the files that take it (kernel: admin-guide/cgroup-v1, cgroup-v2)."""

    memory: bool = True
    swap: bool = True
    swappiness: bool = True
    reservation: bool = True
    oom_kill_disable: bool = True
    cpu_shares: bool = True
    cpu_quota: bool = True
    cpu_realtime: bool = True
    cpuset: bool = True
    pids: bool = True
    io_weight: bool = True
    io_weight_device: bool = True
    io_throttle: bool = True


def abilities(layout: Layout) -> Abilities:
    """What the hierarchies of `layout` can do."""
    if layout.v2 and layout.unified is not None:
        return _unified(layout.unified)

    def has(controller: str, file: str) -> bool:
        root = layout.controllers.get(controller)
        return root is not None and (root / file).exists()

    return Abilities(
        memory=has("memory", "memory.limit_in_bytes"),
        swap=has("memory", "memory.memsw.limit_in_bytes"),
        swappiness=has("memory", "memory.swappiness"),
        reservation=has("memory", "memory.soft_limit_in_bytes"),
        oom_kill_disable=has("memory", "memory.oom_control"),
        cpu_shares=has("cpu", "cpu.shares"),
        cpu_quota=has("cpu", "cpu.cfs_quota_us"),
        cpu_realtime=has("cpu", "cpu.rt_runtime_us"),
        cpuset="cpuset" in layout.controllers,
        pids="pids" in layout.controllers,
        io_weight=has("blkio", "blkio.weight") or has("blkio", "blkio.bfq.weight"),
        io_weight_device=has("blkio", "blkio.weight_device") or has("blkio", "blkio.bfq.weight_device"),
        io_throttle=has("blkio", "blkio.throttle.read_bps_device"),
    )


def _unified(root: Path) -> Abilities:
    """The root has no limits of its own: its list of controllers tells, and what the first group below it has."""
    found = frozenset((root / "cgroup.controllers").read_text().split())
    below = next((entry for entry in root.iterdir() if (entry / "cgroup.procs").exists()), root)
    swap = "memory" in found and (below == root or (below / "memory.swap.max").exists())
    weight = "io" in found and any((below / name).exists() for name in ("io.weight", "io.bfq.weight"))
    return Abilities(
        memory="memory" in found,
        swap=swap,
        swappiness=False,
        reservation="memory" in found,
        oom_kill_disable=False,
        cpu_shares="cpu" in found,
        cpu_quota="cpu" in found,
        cpu_realtime=False,
        cpuset="cpuset" in found,
        pids="pids" in found,
        io_weight=weight,
        io_weight_device=weight,
        io_throttle="io" in found,
    )
