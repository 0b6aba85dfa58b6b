"""Acting on a task's cgroup: pausing everything in it, and ending limits.

Pausing is described by cgroup-v1/freezer-subsystem.rst and cgroup-v2.rst (cgroup.freeze). Limits are ended here because
crun 1.8 writes -1 as it is, or as a number without a sign, and cgroup v1 takes neither for all of its files. So the
engine writes what the kernel calls no limit (admin-guide/cgroup-v1, cgroup-v2).
"""

from __future__ import annotations

import errno
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from lamina.errors import Conflict, Unavailable, Unsupported
from lamina.runtime.cgroups.layout import Layout
from lamina.runtime.spec import Resources

PATIENCE = 10.0  # seconds
# Limit → (controller and file of cgroup v1, what is written there, file of cgroup v2). Swap goes before memory: it may
# not be less.
_FILES = {
    "memory_swap": ("memory", "memory.memsw.limit_in_bytes", "-1", "memory.swap.max"),
    "memory": ("memory", "memory.limit_in_bytes", "-1", "memory.max"),
    "cpu_quota": ("cpu", "cpu.cfs_quota_us", "-1", "cpu.max"),
    "pids_limit": ("pids", "pids.max", "max", "pids.max"),
}


def freeze(layout: Layout, path: str, frozen: bool) -> None:
    """Stop or resume all processes and return when it is done.

    Raise Unsupported without a freezer, Conflict when the cgroup is gone, Unavailable when the kernel does not get
    there in ten seconds.
    """
    directory = layout.directory("freezer", path)
    if directory is None:
        raise Unsupported("this machine has no cgroup freezer, so containers cannot be paused")
    try:
        _freeze(layout.v2, directory, frozen)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENODEV):
            raise
        raise Conflict("the container has ended") from error


def _freeze(v2: bool, directory: Path, frozen: bool) -> None:
    deadline = time.monotonic() + PATIENCE
    if v2:
        (directory / "cgroup.freeze").write_text("1" if frozen else "0")
        state = f"frozen {int(frozen)}"
        state_file = directory / "cgroup.events"
    else:
        state = "FROZEN" if frozen else "THAWED"
        state_file = directory / "freezer.state"
    while True:
        if not v2:
            # A v1 cgroup that forks while it freezes stays FREEZING until it is asked again.
            state_file.write_text(state)
        if state in state_file.read_text():
            return
        if time.monotonic() > deadline:
            raise Unavailable(f"the processes did not {'freeze' if frozen else 'thaw'} within {PATIENCE:.0f} seconds")
        time.sleep(0.001)


def lift(layout: Layout, cgroup: str, limits: Resources) -> Resources:
    """End every limit that is -1, and return the others. Raise Conflict when the cgroup is gone."""
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
