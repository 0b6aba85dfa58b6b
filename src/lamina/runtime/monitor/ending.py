"""Ending programs that do not end by themselves, with all that they started."""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress

_KILLED_SECONDS = 5.0  # how long a killed process may take to go


def end_descendants() -> None:
    """Kills every process below the calling one, which must be their sub-reaper: orphans are below it, too."""
    seen: set[int] = set()
    while found := _descendants() - seen:  # again, for those forked meanwhile
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        seen |= found


def _descendants() -> set[int]:
    parents = {int(name): _parent(name) for name in os.listdir("/proc") if name.isdigit()}
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


def _parent(pid: str) -> int:
    """0 for a process that is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])  # the name before it may hold anything (proc(5))
    except OSError:
        return 0


def wait_at_most(pid: int, seconds: float) -> int:
    """The exit code of a child, as `os.waitstatus_to_exitcode` gives it; -9 for one that takes longer and is killed,
    with everything below the calling process. One that hangs in the kernel even then is not waited for."""
    pidfd = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        if not poll.poll(seconds * 1000):
            end_descendants()
            if not poll.poll(_KILLED_SECONDS * 1000):
                return -signal.SIGKILL
    finally:
        os.close(pidfd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
