"""Files on the host: closed to other users, copied within the kernel, flushed, and on what kind of file system.

Programs of lamina's own (the daemon, its monitors, the registry) run under a umask of 077, so that their files are
private by default. Files for users and containers are made with the functions here, which set the mode. A program that
opens an `Engine` by itself keeps its umask: the roots are private by their own mode.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lamina.linux.syscalls import libc
from lamina.linux.writing import write_all

USUAL_UMASK = 0o022
_PRIVATE_UMASK = 0o077
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


def make_private_by_default() -> None:
    """Set the umask of this process and those it starts to 077."""
    os.umask(_PRIVATE_UMASK)


def private_directory(path: Path, mode: int = 0o700) -> None:
    """Make a directory, or take the permissions beyond `mode` from one that is there. Its parents are made as usual.

    A directory of another owner is left as it is, since only its owner may change it. Raise OSError.
    """
    usual_directory(path.parent)
    with suppress(FileExistsError):
        path.mkdir(mode=mode)
        path.chmod(mode)  # whatever the umask
    _narrow(path, mode)


def private_database(path: Path) -> None:
    """Make an SQLite file that only its owner may read, or make an existing one private with its log and index.

    SQLite gives its log and index the mode of the file. Raise OSError.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    for part in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        with suppress(FileNotFoundError):  # there is none, or another process has closed the last connection
            _narrow(part, 0o600)


def usual_directory(path: Path) -> Sequence[Path]:
    """Make a directory and its parents with mode 0755, whatever the umask; leave those that are there.

    For what users look into, such as the folder of a socket or the source of a bind mount. Return those that were
    made, outer ones first. Raise OSError.
    """
    missing = [each for each in (path, *path.parents) if not each.exists()][::-1]
    for each in missing:
        each.mkdir(exist_ok=True)
        each.chmod(0o755)
    return missing


def write_for_containers(path: Path, text: str) -> None:
    """Write a file that every user of a container may read (0644), in place: it may be mounted. Raise OSError."""
    path.write_text(text)
    path.chmod(0o644)


def _narrow(path: Path, mode: int) -> None:
    status = path.stat()
    if status.st_mode & 0o777 & ~mode and status.st_uid == os.geteuid():
        path.chmod(stat.S_IMODE(status.st_mode) & (mode | ~0o777))


def is_made_up(fd: int) -> bool:
    """Return whether the file behind `fd` has no content of its own, so that reading it may wait or have effects."""
    answer = ctypes.create_string_buffer(_STATFS_SIZE)
    libc("fstatfs", fd, answer)
    return int.from_bytes(answer.raw[: ctypes.sizeof(ctypes.c_long)], sys.byteorder) & 0xFFFFFFFF in _MADE_UP


def syncfs(fd: int) -> None:
    """Wait until everything written to the file system that `fd` is on has reached the disk."""
    libc("syncfs", fd)


def copy_range(source: int, target: int, offset: int, size: int) -> int:
    """Append up to `size` bytes at `offset` of file `source` to descriptor `target`, within the kernel if it can.

    Reads do not move `source`; writes go to the position of `target`, which may be a pipe or a socket. Return the bytes
    copied, fewer than `size` only when the source ends. Raise OSError.
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
