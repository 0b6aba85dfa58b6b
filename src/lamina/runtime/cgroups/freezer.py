"""Pausing everything in a cgroup (cgroup-v1/freezer-subsystem.rst; cgroup-v2.rst, cgroup.freeze)."""

from __future__ import annotations

import errno
import time
from pathlib import Path

from lamina.errors import Conflict, Unavailable, Unsupported
from lamina.runtime.cgroups.layout import Layout

PATIENCE = 10.0  # seconds


def freeze(layout: Layout, path: str, frozen: bool) -> None:
    """Stops or resumes all processes and returns when it is done.

    Raises Unsupported without a freezer, Conflict when the cgroup is gone, Unavailable when the kernel does not get
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
        done = f"frozen {int(frozen)}"
        seen = directory / "cgroup.events"
    else:
        done = "FROZEN" if frozen else "THAWED"
        seen = directory / "freezer.state"
    while True:
        if not v2:
            # A v1 cgroup that forks while it freezes stays FREEZING until it is asked again.
            seen.write_text(done)
        if done in seen.read_text():
            return
        if time.monotonic() > deadline:
            raise Unavailable(f"the processes did not {'freeze' if frozen else 'thaw'} within {PATIENCE:.0f} seconds")
        time.sleep(0.001)
