"""What a process is and may do: its name, privileges and open descriptors, and a thread that acts as somebody else.

`acting_as` reads files with the file-system identity of a caller. Rule: setfsuid(2), setfsgid(2), credentials(7). They
count for the calling thread only, and with an identity other than root's the kernel drops the capabilities that
override file permissions. `making_files_of` takes them back. setgroups(2) is used as the raw call, because libc's would
change all threads.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
from dataclasses import dataclass

from lamina.linux.syscalls import libc, syscall

_before: list[int] = []  # of this process, as its environment gave it; children are to have it
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_NAME_BYTES = 15
_NOBODY = 65534  # the user and group that own nothing, on every distribution
_SETGROUPS = {"x86_64": 116, "aarch64": 159}
_UNCHANGED = 2**32 - 1  # an id that no process has: asks for the present one
_LIBC = ctypes.CDLL(None)


def raise_limit() -> int:
    """Raise the soft limit of this process to its hard limit, as Go's runtime does, and return it.

    The soft limit is low for programs that call select(2), which this process does not. Its children may.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if not _before:
        _before.append(soft)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def descriptor_limit() -> int:
    """Return the soft limit on open descriptors of this process."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def limit_for_children() -> int:
    """Return the soft limit on open descriptors with which this process was started."""
    return _before[0] if _before else resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def set_limit(soft: int) -> None:
    """Set the soft limit on open descriptors of this process, and of those that it starts from now on."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def become_subreaper() -> None:
    """Make orphans below the calling process its children, so that it learns how they end."""
    libc("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_with_parent() -> None:
    """Have the kernel kill the calling process when the thread that forked it ends. A change of identity undoes it."""
    libc("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def name_process(name: str) -> None:
    """Give the calling process the name that ps shows, cut to 15 bytes."""
    libc("prctl", _PR_SET_NAME, name.encode()[:_NAME_BYTES] + b"\0", 0, 0, 0)


def give_up_privileges() -> None:
    """Make the calling process one of the user nobody, for good; without root's privileges it stays who it is.

    Afterwards the process may be unable to import modules.
    """
    libc("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)  # drops the capabilities too: capabilities(7)


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


_CAPABILITY_VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3: two sets of three masks, of 32 bits each


class making_files_of:
    """Context manager: in its block the files that the present thread makes belong to `owner`, a user and a group.

    The thread keeps root's capabilities. A tree whose owners are mapped has no place for files of the host's root, so
    that the kernel refuses to make them (EOVERFLOW). With None the block changes nothing.
    """

    def __init__(self, owner: tuple[int, int] | None) -> None:
        self._owner = owner if owner != (0, 0) else None

    def __enter__(self) -> None:
        if self._owner is not None:
            _set_maker(*self._owner)

    def __exit__(self, *_: object) -> None:
        if self._owner is not None:
            _set_maker(os.geteuid(), os.getegid())


def _set_maker(uid: int, gid: int) -> None:
    _LIBC.setfsgid(gid)
    _LIBC.setfsuid(uid)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)  # of this thread
    masks = (ctypes.c_uint32 * 6)()
    libc("capget", header, masks)
    masks[0], masks[3] = masks[1], masks[4]  # what is permitted takes effect
    libc("capset", header, masks)
