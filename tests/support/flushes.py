"""Every flush to the disk that this process and its children ask the kernel for, SQLite's too.

A filter of seccomp(2) has the kernel tell a thread of each call before it is made. The filter cannot be taken away
again: use it in a process that is there for nothing else.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import threading
from typing import NamedTuple

from lamina.linux.syscalls import libc, syscall

_SECCOMP = {"x86_64": 317, "aarch64": 277}
NAMES = {  # the calls that flush: asm/unistd.h
    "x86_64": {162: "sync", 74: "fsync", 75: "fdatasync", 306: "syncfs", 277: "sync_file_range", 26: "msync"},
    "aarch64": {81: "sync", 82: "fsync", 83: "fdatasync", 267: "syncfs", 84: "sync_file_range", 227: "msync"},
}
_SET_MODE_FILTER, _NEW_LISTENER, _NO_NEW_PRIVS = 1, 1 << 3, 38
_RECEIVE, _SEND, _CONTINUE = 0xC0502100, 0xC0182101, 1  # linux/seccomp.h
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06  # linux/bpf_common.h
_NOTIFY, _ALLOW = 0x7FC00000, 0x7FFF0000
_WITHOUT_FILE = ("sync", "msync")


class Flush(NamedTuple):
    """One call: by which thread, its name, and the file it was for."""

    thread: int
    call: str
    path: str


class Flushes:
    """Counts from now to the end of the process."""

    def __init__(self) -> None:
        self._names = NAMES[platform.machine()]
        self._noted: list[Flush] = []
        code = ctypes.create_string_buffer(_code(list(self._names)))
        program = struct.pack("=HxxxxxxQ", len(code) // 8, ctypes.addressof(code))
        libc("prctl", _NO_NEW_PRIVS, 1, 0, 0, 0)
        self._listener = syscall(_SECCOMP[platform.machine()], _SET_MODE_FILTER, _NEW_LISTENER, program)
        threading.Thread(target=self._run, daemon=True).start()

    def take(self) -> list[Flush]:
        """Return what was flushed since the last time."""
        noted, self._noted = self._noted, []
        return noted

    def _run(self) -> None:
        while True:
            notice = ctypes.create_string_buffer(80)
            libc("ioctl", self._listener, _RECEIVE, notice)
            number, thread, _, call = struct.unpack_from("=QIIi", notice)
            (first,) = struct.unpack_from("=Q", notice, 32)
            name = self._names[call]
            path = "" if name in _WITHOUT_FILE else os.readlink(f"/proc/{thread}/fd/{first}")
            self._noted.append(Flush(thread, name, path))
            answer = struct.pack("=QqiI", number, 0, 0, _CONTINUE)
            libc("ioctl", self._listener, _SEND, ctypes.create_string_buffer(answer))


def _code(calls: list[int]) -> bytes:
    """Return instructions for the filter: tell of these calls, allow all others."""
    lines = [(_LOAD, 0, 0, 0)]
    lines += [(_JUMP_IF_EQUAL, len(calls) - position, 0, call) for position, call in enumerate(calls)]
    lines += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _NOTIFY)]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
