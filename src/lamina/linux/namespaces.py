"""Namespaces and the root of a process: unshare, setns, pivot_root."""

from __future__ import annotations

import os

from lamina.linux.syscalls import Path, libc, syscall

CLONE_FS = 0x00000200
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "s390x": 217, "ppc64le": 203}


def unshare(flags: int) -> None:
    """Gives the calling thread its own namespaces (CLONE_NEW…), or its own working directory and umask (CLONE_FS)."""
    libc("unshare", flags)


def setns(fd: int, kind: int = 0) -> None:
    """Moves the calling thread into the namespace behind `fd`; `kind` (CLONE_NEW…) guards against a wrong one."""
    libc("setns", fd, kind)


def pivot_root(new_root: Path, put_old: Path) -> None:
    """Makes the mount `new_root` the root and hangs the old one at `put_old`, in it (pivot_root(2))."""
    syscall(_PIVOT_ROOT[os.uname().machine], os.fsencode(new_root), os.fsencode(put_old), filename=new_root)
