"""What a process may say about itself with prctl(2), and giving up what it may do."""

from __future__ import annotations

import os

from lamina.linux.syscalls import libc

_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_NAME_BYTES = 15
_NOBODY = 65534  # the user and group that own nothing, on every distribution


def become_subreaper() -> None:
    """Makes orphans below the calling process its children, so that it learns how they end."""
    libc("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def name_process(name: str) -> None:
    """Gives the calling process the name that ps shows, cut to 15 bytes."""
    libc("prctl", _PR_SET_NAME, name.encode()[:_NAME_BYTES] + b"\0", 0, 0, 0)


def give_up_privileges() -> None:
    """Make the calling process one of the user nobody, for good; without root's privileges it stays who it is.

    Modules that it has not loaded by now may be out of its reach.
    """
    libc("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)  # drops the capabilities too: capabilities(7)
