"""How the other files of this room reach the kernel: libc's functions and `syscall(2)` itself, by ctypes.

Numbers of system calls from 424 on are the same on every architecture (Documentation/process/adding-syscalls.rst);
older ones are reached through libc's own functions where it has them.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long

Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]
CLONE_FS = 0x00000200
CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000


def failure(filename: Path | None = None) -> OSError:
    """Return the OSError for the calling thread's errno, naming `filename` where one is known."""
    number = ctypes.get_errno()
    if filename is None:
        return OSError(number, os.strerror(number))
    return OSError(number, os.strerror(number), os.fspath(filename))


def syscall(number: int, *arguments: Any, filename: Path | None = None) -> int:
    """Make system call `number`; ints go as 64-bit values, bytes as pointers. Raise OSError."""
    passed = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result: int = _LIBC.syscall(ctypes.c_long(number), *passed)
    if result < 0:
        raise failure(filename)
    return result


def libc(name: str, *arguments: Any, filename: Path | None = None) -> int:
    """Call libc's function `name`, which gives an int and sets errno; ints go as 64-bit values. Raise OSError."""
    passed = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result: int = getattr(_LIBC, name)(*passed)
    if result < 0:
        raise failure(filename)
    return result


def unshare(flags: int) -> None:
    """Give the calling thread its own namespaces (CLONE_NEW…), or its own working directory and umask (CLONE_FS)."""
    libc("unshare", flags)


def setns(fd: int, kind: int = 0) -> None:
    """Move the calling thread into the namespace behind `fd`; `kind` (CLONE_NEW…) guards against a wrong one."""
    libc("setns", fd, kind)
