"""Making the first move into a new cgroup quick.

Moving a process between cgroups takes cgroup_threadgroup_rwsem for writing (kernel/cgroup/cgroup.c), a per-CPU
semaphore whose first writer waits for an RCU grace period: 6 to 20 ms, the largest part of starting a container.
Writers that follow within the next grace period do not wait. So while a start is near, a thread moves this process to
the cgroup where it already is, every few milliseconds, and the OCI runtime comes as the second writer.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

EVERY = 0.004  # seconds between two moves
LIMIT = 0.25  # seconds after which we no longer expect the start


class Warmth:
    """Keeps moves quick from `begin` until `end`, at most `LIMIT` seconds. Costs nothing where there is no cgroup."""

    def __init__(self, own: str | None) -> None:
        """`own` is the cgroup.procs file of the cgroup in which this process is."""
        self._file = own
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        if self._file is None or (self._thread is not None and self._thread.is_alive()):
            return
        self._end.clear()
        self._thread = threading.Thread(target=self._move, args=(self._file,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stops soon; may be called at any time."""
        self._end.set()

    def _move(self, path: str) -> None:
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            for _ in range(int(LIMIT / EVERY)):
                os.write(fd, b"0")  # 0 names the writer itself (cgroups(7))
                if self._end.wait(EVERY):
                    return
        except OSError:
            return
        finally:
            os.close(fd)


def own_cgroup(mounts: Sequence[str], table: str = "/proc/self/cgroup") -> str | None:
    """The cgroup.procs file of this process in the first hierarchy of `mounts`, pairs "controller=mount point" with
    nothing before the sign for v2."""
    try:
        with open(table) as file:
            lines = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return None
    for mount in mounts:
        controller, _, root = mount.rpartition("=")
        for _, controllers, path in lines:
            if controller in controllers.split(","):
                found = os.path.join(root, path.lstrip("/"), "cgroup.procs")
                if os.path.exists(found):
                    return found
    return None
