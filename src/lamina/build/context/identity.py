"""Reading files as somebody else: one thread takes on the file-system identity of a caller, and gives it back.

Rule: setfsuid(2), setfsgid(2), credentials(7). They count for the calling thread only, and with an identity other than
root's the kernel drops the capabilities that override file permissions. setgroups(2) is used as the raw call, because
libc's would change all threads.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass

_SETGROUPS = {"x86_64": 116, "aarch64": 159}
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asked: from SO_PEERCRED and the group database."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


def _setgroups(groups: tuple[int, ...]) -> None:
    number = _SETGROUPS.get(os.uname().machine)
    if number is None:
        raise OSError(38, "setgroups for one thread is not known on this machine")
    array = (ctypes.c_uint32 * len(groups))(*groups)
    if _libc.syscall(number, len(groups), array) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


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
        _libc.setfsgid(self._caller.gid)
        _libc.setfsuid(self._caller.uid)
        if _libc.setfsuid(-1) != self._caller.uid:
            self.__exit__()
            raise PermissionError(1, "cannot take on the caller's identity")

    def __exit__(self, *_: object) -> None:
        if self._needed:
            _libc.setfsuid(0)
            _libc.setfsgid(os.getegid())
            _setgroups(self._before)
