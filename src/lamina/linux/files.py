"""Copying ranges, waiting for the disk, and what kind of file system a file is on."""

from __future__ import annotations

import ctypes
import errno
import os
import sys

from lamina.linux.syscalls import libc
from lamina.linux.writing import write_all

# Magic numbers of statfs(2) whose files the kernel or a program makes up while they are read. Reading may wait, and may
# have effects: /proc/kmsg and tracefs give each message once, a FUSE server answers when it likes.
_MADE_UP = frozenset(
    {
        0x9FA0,  # proc
        0x62656572,  # sysfs
        0x74726163,  # tracefs
        0x64626720,  # debugfs
        0x73636673,  # securityfs
        0x19800202,  # mqueue
        0x65735546,  # fuse
        0x27E0EB,  # cgroup
        0x63677270,  # cgroup2
        0xCAFE4A11,  # bpf
    }
)
_STATFS_SIZE = 256  # bytes, more than struct statfs has anywhere

_CANNOT = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF)
_BUFFER = 1 << 20


def is_made_up(fd: int) -> bool:
    """Return whether the file behind `fd` has no content of its own, so that reading it may wait or have effects."""
    answer = ctypes.create_string_buffer(_STATFS_SIZE)
    libc("fstatfs", fd, answer)
    return int.from_bytes(answer.raw[: ctypes.sizeof(ctypes.c_long)], sys.byteorder) & 0xFFFFFFFF in _MADE_UP


def syncfs(fd: int) -> None:
    """Waits until everything written to the file system that `fd` is on has reached the disk."""
    libc("syncfs", fd)


def copy_range(source: int, target: int, offset: int, size: int) -> int:
    """Appends up to `size` bytes at `offset` of file `source` to descriptor `target`, within the kernel if it can.

    Reads do not move `source`; writes go to the position of `target`, which may be a pipe or a socket. Gives the bytes
    copied, fewer than `size` only when the source ends. Raises OSError.
    """
    done = 0
    for copy in (_by_copy_file_range, _by_sendfile, _by_hand):
        try:
            while done < size:
                moved = copy(source, target, offset + done, size - done)
                if not moved:
                    return done
                done += moved
            return done
        except OSError as error:
            if error.errno not in _CANNOT or copy is _by_hand:
                raise
    return done


def _by_copy_file_range(source: int, target: int, offset: int, size: int) -> int:
    return os.copy_file_range(source, target, min(size, 1 << 30), offset_src=offset)


def _by_sendfile(source: int, target: int, offset: int, size: int) -> int:
    return os.sendfile(target, source, offset, min(size, 1 << 30))


def _by_hand(source: int, target: int, offset: int, size: int) -> int:
    data = os.pread(source, min(size, _BUFFER), offset)
    write_all(target, data)
    return len(data)
