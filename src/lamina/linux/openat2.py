"""openat2(2): opening paths that somebody else controls without ever leaving a root (Linux 5.6)."""

from __future__ import annotations

import ctypes
import os

from lamina.linux.syscalls import Path, syscall

_OPENAT2 = 437

RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10
RESOLVE_CACHED = 0x20


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_SIZE = ctypes.sizeof(_OpenHow)


def openat2(dirfd: int, path: Path, flags: int, mode: int = 0, resolve: int = RESOLVE_IN_ROOT) -> int:
    """Opens `path` below the directory `dirfd` and gives the new descriptor, close-on-exec.

    With RESOLVE_IN_ROOT (the default) absolute paths, absolute symlinks and `..` stay inside `dirfd`, as if it were
    the root; RESOLVE_BENEATH makes them fail with EXDEV instead. `mode` counts only with O_CREAT or O_TMPFILE.
    Raises OSError; EAGAIN (a rename raced with `..`) is tried again here.
    """
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    name = os.fsencode(path)
    while True:
        try:
            return syscall(_OPENAT2, dirfd, name, ctypes.byref(how), _SIZE, filename=path)
        except BlockingIOError:
            if resolve & RESOLVE_CACHED:
                raise
        except InterruptedError:
            continue
