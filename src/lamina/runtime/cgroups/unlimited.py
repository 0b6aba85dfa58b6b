"""Ending limits of a running container.

crun 1.8 writes -1 as it is, or as a number without a sign, and cgroup v1 takes neither for all of its files. So the
engine writes what the kernel calls no limit (admin-guide/cgroup-v1, cgroup-v2).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lamina.errors import Conflict
from lamina.runtime.cgroups.layout import Layout
from lamina.runtime.spec import Resources

# Limit → (controller and file of cgroup v1, what is written there, file of cgroup v2). Swap goes before memory: it may
# not be less.
_FILES = {
    "memory_swap": ("memory", "memory.memsw.limit_in_bytes", "-1", "memory.swap.max"),
    "memory": ("memory", "memory.limit_in_bytes", "-1", "memory.max"),
    "cpu_quota": ("cpu", "cpu.cfs_quota_us", "-1", "cpu.max"),
    "pids_limit": ("pids", "pids.max", "max", "pids.max"),
}


def lift(layout: Layout, cgroup: str, limits: Resources) -> Resources:
    """End every limit that is -1, and return the others. Raises Conflict when the cgroup is gone."""
    lifted = [name for name in _FILES if getattr(limits, name) == -1]
    for name in lifted:
        controller, file, word, unified_file = _FILES[name]
        directory = layout.directory(controller, cgroup)
        place = directory and directory / (unified_file if layout.v2 else file)
        if place is None or (directory and directory.exists() and not place.exists()):
            continue  # this kernel does not limit it
        try:
            place.write_text("max" if layout.v2 else word)
        except FileNotFoundError:
            raise Conflict("the container has ended") from None
    ended: dict[str, Any] = dict.fromkeys(lifted)
    return replace(limits, **ended)
