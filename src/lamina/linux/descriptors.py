"""How many descriptors a process may have open: getrlimit(2)."""

from __future__ import annotations

import resource

_before: list[int] = []  # of this process, as its environment gave it; children are to have it


def raise_limit() -> int:
    """Raise the soft limit of this process to its hard one, as Go's runtime does, and return it.

    The soft one is low for the sake of programs that call select(2). This one does not; those that it starts may.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if not _before:
        _before.append(soft)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def limit() -> int:
    """Return the soft limit of this process."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def limit_for_children() -> int:
    """The soft limit that this process was started with."""
    return _before[0] if _before else resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def set_limit(soft: int) -> None:
    """Sets the soft limit of this process, and so of what it starts from now on."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
