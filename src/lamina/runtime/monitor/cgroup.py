"""What a monitor needs of cgroups: its task's processes, and out-of-memory kills."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress

from lamina.linux.inotify import Watch
from lamina.runtime.monitor.loop import READ, Loop


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
            _remove_one(directory)
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True


def _remove_one(directory: str) -> None:
    try:
        os.rmdir(directory)
    except FileNotFoundError:
        raise
    except OSError:  # its container may have made others below it; a list of its many files takes longer than a try
        for folder, _, _ in os.walk(directory, topdown=False):
            os.rmdir(folder)


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
