"""Reading files as somebody else: one thread takes on the file-system identity of a caller, and gives it back.

Rule: setfsuid(2), setfsgid(2), credentials(7). They count for the calling thread only, and with an identity other than
root's the kernel drops the capabilities that override file permissions. setgroups(2) is used as the raw call, because
libc's would change all threads.
"""

from __future__ import annotations

import ctypes
import errno
import os
from dataclasses import dataclass

from lamina.linux.syscalls import syscall

_SETGROUPS = {"x86_64": 116, "aarch64": 159}
_UNCHANGED = 2**32 - 1  # an id that no process has: asks for the present one
_LIBC = ctypes.CDLL(None)
for _function in (_LIBC.setfsuid, _LIBC.setfsgid):  # these give the former id, and never an error
    _function.argtypes, _function.restype = [ctypes.c_uint32], ctypes.c_uint32


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asked: from SO_PEERCRED and the group database."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


def _setgroups(groups: tuple[int, ...]) -> None:
    number = _SETGROUPS.get(os.uname().machine)
    if number is None:
        raise OSError(errno.ENOSYS, "setgroups for one thread is not known on this machine")
    syscall(number, len(groups), (ctypes.c_uint32 * len(groups))(*groups))


class acting_as:
    """Context manager: in its block the present thread reads files with `caller`'s permissions, never with more.

    For root, and for an unprivileged process acting as itself, it does nothing. Raises OSError where the process may
    not take on that identity.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._needed = os.geteuid() == 0 and caller.uid != 0
        self._before: tuple[int, ...] = ()

    def __enter__(self) -> None:
        if not self._needed:
            return
        self._before = tuple(os.getgroups())
        _setgroups(self._caller.groups)
        _LIBC.setfsgid(self._caller.gid)
        _LIBC.setfsuid(self._caller.uid)
        if _LIBC.setfsuid(_UNCHANGED) != self._caller.uid:
            self.__exit__()
            raise PermissionError(errno.EPERM, "cannot take on the caller's identity")

    def __exit__(self, *_: object) -> None:
        if self._needed:
            _LIBC.setfsuid(0)
            _LIBC.setfsgid(os.getegid())
            _setgroups(self._before)
