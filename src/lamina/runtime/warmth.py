"""Quick first moves of processes into cgroups.

Moving a process between cgroups takes cgroup_threadgroup_rwsem for writing (kernel/cgroup/cgroup.c), a per-CPU
semaphore whose first writer waits for an RCU grace period: 6 to 20 ms, the largest part of starting a container.
Writers that follow within the next grace period do not wait. So while a start is near, a thread of `Warmth` moves this
process to the cgroup where it already is, every few milliseconds, and the OCI runtime comes as the second writer.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_MOVE_SECONDS = 0.004  # seconds between two moves
_WARM_SECONDS = 0.25  # seconds after which we no longer expect the start


class Warmth:
    """Keep moves quick while starts are expected or under way. Thread-safe.

    `hierarchies` are the machine's cgroup mounts, see `own_cgroup`. Without a cgroup of its own it does nothing.
    """

    def __init__(self, hierarchies: Sequence[str]) -> None:
        self._hierarchies = hierarchies
        self._lock = threading.Lock()
        self._until = 0.0
        self._starts = 0
        self._moving = False

    def expect(self) -> None:
        """Prepare for a start that comes soon; costs little."""
        with self._lock:
            self._until = time.monotonic() + _WARM_SECONDS
            if self._moving:
                return
            self._moving = True
        threading.Thread(target=self._move, name="lamina-warmth", daemon=True).start()

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Keep moves quick while the block runs, but no longer than a start usually takes."""
        with self._lock:
            self._starts += 1
        self.expect()
        try:
            yield
        finally:
            with self._lock:
                self._starts -= 1
                if not self._starts:
                    self._until = 0.0

    def _move(self) -> None:
        # Looked up anew each time: somebody may have moved this process since.
        path = own_cgroup(self._hierarchies)
        if path is not None:
            self._move_until_cool(path)
        with self._lock:
            self._moving = False

    def _move_until_cool(self, path: str) -> None:
        try:
            with open(path, "wb", buffering=0) as file:
                while time.monotonic() < self._until:
                    file.write(b"0")  # 0 names the writer itself (cgroups(7))
                    time.sleep(_MOVE_SECONDS)  # the end may wait for as long
        except OSError:
            return


def own_cgroup(hierarchies: Sequence[str], table: str = "/proc/self/cgroup") -> str | None:
    """Return the cgroup.procs file of this process in the first of `hierarchies`, pairs "controller=mount point" with
    nothing before the sign for v2."""
    try:
        with open(table) as file:
            lines = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return None
    for hierarchy in hierarchies:
        controller, _, root = hierarchy.rpartition("=")
        for _, controllers, path in lines:
            if controller in controllers.split(","):
                procs_file = os.path.join(root, path.lstrip("/"), "cgroup.procs")
                if os.path.exists(procs_file):
                    return procs_file
    return None
