"""What a process says of itself and may do: its name, privileges, open descriptors (prctl(2), getrlimit(2))."""

from __future__ import annotations

import os
import resource

from lamina.linux.syscalls import libc

_before: list[int] = []  # of this process, as its environment gave it; children are to have it
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_NAME_BYTES = 15
_NOBODY = 65534  # the user and group that own nothing, on every distribution


def raise_limit() -> int:
    """Raise the soft descriptor_limit of this process to its hard one, as Go's runtime does, and return it.

    The soft one is low for the sake of programs that call select(2). This one does not; those that it starts may.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if not _before:
        _before.append(soft)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def descriptor_limit() -> int:
    """Return the soft descriptor_limit of this process."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def limit_for_children() -> int:
    """The soft descriptor_limit that this process was started with."""
    return _before[0] if _before else resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def set_limit(soft: int) -> None:
    """Sets the soft descriptor_limit of this process, and so of what it starts from now on."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


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
