"""Namespaces of the calling thread: unshare and setns."""

from __future__ import annotations

from lamina.linux.syscalls import libc

CLONE_FS = 0x00000200
CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000


def unshare(flags: int) -> None:
    """Gives the calling thread its own namespaces (CLONE_NEW…), or its own working directory and umask (CLONE_FS)."""
    libc("unshare", flags)


def setns(fd: int, kind: int = 0) -> None:
    """Moves the calling thread into the namespace behind `fd`; `kind` (CLONE_NEW…) guards against a wrong one."""
    libc("setns", fd, kind)
