"""What a process may say about itself with prctl(2)."""

from __future__ import annotations

from lamina.linux.syscalls import libc

_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_NAME_BYTES = 15


def become_subreaper() -> None:
    """Makes orphans below the calling process its children, so that it learns how they end."""
    libc("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def name_process(name: str) -> None:
    """Gives the calling process the name that ps shows, cut to 15 bytes."""
    libc("prctl", _PR_SET_NAME, name.encode()[:_NAME_BYTES] + b"\0", 0, 0, 0)
