"""Processes by descriptor, and what a process may say about itself with prctl(2)."""

from __future__ import annotations

import os
import signal

from lamina.linux.syscalls import libc

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38


def prctl(option: int, argument: int = 0) -> int:
    """prctl(2) for options with one number as argument."""
    return libc("prctl", option, argument, 0, 0, 0)


def pidfd_open(pid: int) -> int:
    """A descriptor for process `pid` that stays its own when the number is used again; readable once it has ended."""
    return os.pidfd_open(pid)


def pidfd_send_signal(pidfd: int, number: int) -> None:
    """Sends signal `number` to the process behind a descriptor. ProcessLookupError: it has ended."""
    signal.pidfd_send_signal(pidfd, number)
