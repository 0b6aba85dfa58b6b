"""What a monitor needs of cgroups: its task's processes, out-of-memory kills, and a quick first move into a new cgroup.

Moving a process between cgroups takes cgroup_threadgroup_rwsem for writing (kernel/cgroup/cgroup.c), a per-CPU
semaphore whose first writer waits for an RCU grace period: 6 to 20 ms, the largest part of starting a container.
Writers that follow within the next grace period do not wait. So while a start is near, a thread of `Warmth` moves this
process to the cgroup where it already is, every few milliseconds, and the OCI runtime comes as the second writer.

The module `threading` is not loaded here: what it does after each fork would cost every monitor 0.4 MB.
"""

from __future__ import annotations

import _thread
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress

from lamina.linux.inotify import Watch
from lamina.runtime.monitor.loop import READ, Loop

_MOVE_SECONDS = 0.004  # seconds between two moves
_WARM_SECONDS = 0.25  # seconds after which we no longer expect the start


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def _counter(text: str, name: str) -> int:
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0


def oom_kills(directories: Sequence[str]) -> int:
    """Return how many processes of the cgroup the kernel has killed for memory (cgroup v1 memory.oom_control, Linux
    4.13; v2 memory.events)."""
    for directory in directories:
        for name in ("memory.events", "memory.oom_control"):
            count = _counter(_read(os.path.join(directory, name)), "oom_kill")
            if count:
                return count
    return 0


def kill_all(directories: Sequence[str], number: int) -> None:
    """Signal every process in the cgroup and in those that its container made below it.

    SIGKILL on cgroup v2 also reaches processes that fork meanwhile (cgroup-v2.rst, cgroup.kill, Linux 5.14).
    """
    for directory in directories:
        if number == signal.SIGKILL and _killed_at_once(directory):
            return
        folders = [folder for folder, _, _ in os.walk(directory)]
        pids = [pid for folder in folders for pid in _read(os.path.join(folder, "cgroup.procs")).split()]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(int(pid), number)
        if pids:
            return


def _killed_at_once(directory: str) -> bool:
    try:
        file = os.open(os.path.join(directory, "cgroup.kill"), os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.write(file, b"1") == 1
    except OSError:
        return False
    finally:
        os.close(file)


def remove(directories: Sequence[str]) -> bool:
    """Remove the empty cgroup from every hierarchy; False when something is still in it."""
    for directory in directories:
        try:
            for folder, _, _ in os.walk(directory, topdown=False):
                os.rmdir(folder)
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True


class OomWatch:
    """Calls `on_oom` each time memory runs out in the cgroup.

    cgroup v1 tells by an eventfd on memory.oom_control (cgroup-v1/memory.rst, section 10), v2 by inotify on
    memory.events, which also changes for other reasons (cgroup-v2.rst).
    """

    def __init__(self, loop: Loop, directories: Sequence[str], on_oom: Callable[[], None]) -> None:
        self._loop = loop
        self._fds: list[int] = []
        self._watches: list[Watch] = []
        for directory in directories:
            with suppress(OSError):  # no memory controller there: no news of it
                if os.path.exists(os.path.join(directory, "cgroup.event_control")):
                    self._listen(directory, on_oom)
                elif os.path.exists(os.path.join(directory, "memory.events")):
                    self._watch(directory, on_oom)

    def _listen(self, directory: str, on_oom: Callable[[], None]) -> None:
        control = os.open(os.path.join(directory, "memory.oom_control"), os.O_RDONLY | os.O_CLOEXEC)
        self._fds.append(control)
        event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._fds.append(event)
        with open(os.path.join(directory, "cgroup.event_control"), "w") as file:
            file.write(f"{event} {control}")

        def out_of_memory(events: int) -> None:
            os.eventfd_read(event)
            if os.path.isdir(directory):  # removing the cgroup wakes listeners as well
                on_oom()

        self._loop.watch(event, READ, out_of_memory)

    def _watch(self, directory: str, on_oom: Callable[[], None]) -> None:
        watch = Watch(os.path.join(directory, "memory.events"))
        self._watches.append(watch)
        seen = [oom_kills((directory,))]

        def changed(events: int) -> None:
            watch.drain()
            count = oom_kills((directory,))
            if count > seen[0]:
                seen[0] = count
                on_oom()

        self._loop.watch(watch.fileno(), READ, changed)

    def close(self) -> None:
        """Stop listening; may be called twice."""
        for fd in self._fds:
            self._loop.forget(fd)
            os.close(fd)
        self._fds.clear()
        for watch in self._watches:
            self._loop.forget(watch.fileno())
            watch.close()
        self._watches.clear()


class Warmth:
    """Keep moves quick from `begin` until `end`, for `_WARM_SECONDS` at most. Without a cgroup it does nothing."""

    def __init__(self, own: str | None) -> None:
        """`own` is the cgroup.procs file of the cgroup in which this process is."""
        self._file = own
        self._moving = _thread.allocate_lock()  # held by the thread
        self._wanted = _thread.allocate_lock()  # held until the thread is to stop

    def begin(self) -> None:
        if self._file is None or not self._moving.acquire(blocking=False):
            return
        self._wanted.acquire(blocking=False)
        _thread.start_new_thread(self._move, (self._file,))

    def end(self) -> None:
        """Stop soon; may be called at any time."""
        with suppress(RuntimeError):  # it has stopped already
            self._wanted.release()

    def _move(self, path: str) -> None:
        try:
            with open(path, "wb", buffering=0) as file:
                for _ in range(int(_WARM_SECONDS / _MOVE_SECONDS)):
                    file.write(b"0")  # 0 names the writer itself (cgroups(7))
                    if self._wanted.acquire(timeout=_MOVE_SECONDS):
                        return
        except OSError:
            return
        finally:
            self._moving.release()


def own_cgroup(mounts: Sequence[str], table: str = "/proc/self/cgroup") -> str | None:
    """Return the cgroup.procs file of this process in the first hierarchy of `mounts`, pairs "controller=mount point"
    with nothing before the sign for v2."""
    try:
        with open(table) as file:
            lines = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return None
    for mount in mounts:
        controller, _, root = mount.rpartition("=")
        for _, controllers, path in lines:
            if controller in controllers.split(","):
                procs_file = os.path.join(root, path.lstrip("/"), "cgroup.procs")
                if os.path.exists(procs_file):
                    return procs_file
    return None
