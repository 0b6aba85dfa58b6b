"""Mounting, by the mount API of Linux 5.2 (fsopen … move_mount) and by mount(2), and what is mounted."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lamina.linux.syscalls import Path, libc, syscall

_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT, _MOUNT_SETATTR = 428, 429, 430, 431, 432, 442

AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
OPEN_TREE_CLONE = 1
_FSOPEN_CLOEXEC = _FSMOUNT_CLOEXEC = 1
_MOVE_MOUNT_F_EMPTY_PATH, _MOVE_MOUNT_T_EMPTY_PATH = 0x04, 0x40
_SET_FLAG, _SET_STRING, _CMD_CREATE = 0, 1, 6

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8
MOUNT_ATTR_IDMAP = 0x00100000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC = 32, 4096, 16384
MS_PRIVATE, MS_SLAVE, MS_SHARED = 1 << 18, 1 << 19, 1 << 20
MNT_DETACH = 2


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def fsopen(fstype: str) -> int:
    """Open a context for making a file system of type `fstype`. Return its descriptor. ENODEV: no such type."""
    return syscall(_FSOPEN, os.fsencode(fstype), _FSOPEN_CLOEXEC)


def fsconfig_string(fd: int, key: str, value: Path) -> None:
    """Set option `key` of the context to a text of at most 255 bytes."""
    syscall(_FSCONFIG, fd, _SET_STRING, os.fsencode(key), os.fsencode(value), 0)


def fsconfig_flag(fd: int, key: str) -> None:
    """Set the option `key`, which has no value."""
    syscall(_FSCONFIG, fd, _SET_FLAG, os.fsencode(key), None, 0)


def fsconfig_create(fd: int) -> None:
    """Make the file system (its superblock) that the options describe."""
    syscall(_FSCONFIG, fd, _CMD_CREATE, None, None, 0)


def messages(fd: int) -> list[str]:
    """Return what the kernel has said in this context since the last call, without its `e `, `w ` and `i ` marks."""
    texts: list[str] = []
    while True:
        try:
            texts.append(os.read(fd, 4096).decode(errors="replace").rstrip("\n")[2:])
        except OSError as error:
            if error.errno in (errno.ENODATA, errno.EMSGSIZE):
                return texts
            raise


def fsmount(fd: int, attributes: int = 0) -> int:
    """Make a mount of the file system made in context `fd`, attached nowhere yet. Return its descriptor."""
    return syscall(_FSMOUNT, fd, _FSMOUNT_CLOEXEC, attributes)


def move_mount(fd: int, target: Path, *, dirfd: int = -100) -> None:
    """Attach the mount behind descriptor `fd` at `target`, relative to the directory `dirfd`."""
    syscall(_MOVE_MOUNT, fd, b"", dirfd, os.fsencode(target), _MOVE_MOUNT_F_EMPTY_PATH, filename=target)


def move_mount_onto(fd: int, place: int) -> None:
    """Attach the mount behind descriptor `fd` to the file behind `place` (O_PATH), even if that was renamed."""
    flags = _MOVE_MOUNT_F_EMPTY_PATH | _MOVE_MOUNT_T_EMPTY_PATH
    syscall(_MOVE_MOUNT, fd, b"", place, b"", flags)


def open_tree(path: Path, flags: int = OPEN_TREE_CLONE, *, dirfd: int = -100) -> int:
    """Return a descriptor for what is mounted at `path`; with OPEN_TREE_CLONE a private copy, attached nowhere yet."""
    return syscall(_OPEN_TREE, dirfd, os.fsencode(path), flags | os.O_CLOEXEC, filename=path)


def mount_setattr(
    path: Path,
    *,
    dirfd: int = -100,
    flags: int = 0,
    attributes: int = 0,
    clear: int = 0,
    propagation: int = 0,
    userns: int = 0,
) -> None:
    """Change attributes (MOUNT_ATTR_*) or propagation (MS_PRIVATE…) of the mount at `path`; AT_RECURSIVE in `flags`
    takes all below it. MOUNT_ATTR_IDMAP shows the files' owners as the namespace `userns` maps them. Linux 5.12."""
    how = _MountAttr(attributes, clear, propagation, userns)
    size = ctypes.sizeof(how)
    syscall(_MOUNT_SETATTR, dirfd, os.fsencode(path), flags, ctypes.byref(how), size, filename=path)


def mount_filesystem(fstype: str, options: Iterable[tuple[str, str | None]], target: Path, attributes: int = 0) -> None:
    """Make a file system with `options` (a None value is a flag), and attach it at `target`.

    Raise what `detached_filesystem` raises.
    """
    new_mount = detached_filesystem(fstype, options, attributes)
    try:
        move_mount(new_mount, target)
    finally:
        os.close(new_mount)


def detached_filesystem(fstype: str, options: Iterable[tuple[str, str | None]], attributes: int = 0) -> int:
    """Make a file system with `options` (a None value is a flag). Return a descriptor of it, attached nowhere.

    Raise OSError with the kernel's reason in its text, where it gives one.
    """
    context = fsopen(fstype)
    try:
        for key, value in options:
            if value is None:
                fsconfig_flag(context, key)
            else:
                fsconfig_string(context, key, value)
        fsconfig_create(context)
        return fsmount(context, attributes)
    except OSError as error:
        reasons = "; ".join(messages(context))
        raise OSError(error.errno, f"{error.strerror} ({reasons})" if reasons else error.strerror) from error
    finally:
        os.close(context)


def idmapped_tree(path: Path, userns: int) -> int:
    """Return a descriptor of a copy of the mount at `path`, without those below it, whose owners are mapped.

    They are shown as the user namespace behind `userns` maps them. EINVAL: the file system cannot do that.
    """
    tree = open_tree(path, OPEN_TREE_CLONE)
    try:
        mount_setattr("", dirfd=tree, flags=AT_EMPTY_PATH, attributes=MOUNT_ATTR_IDMAP, userns=userns)
    except BaseException:
        os.close(tree)
        raise
    return tree


def mount(source: Path, target: Path, fstype: str = "", flags: int = 0, data: str = "") -> None:
    """Mount by mount(2); `data` is at most one page of comma-separated options."""
    parts = [os.fsencode(part) for part in (source, target, fstype)]
    libc("mount", *parts, flags, os.fsencode(data) if data else None, filename=target)


def umount2(target: Path, flags: int = 0) -> None:
    """Remove the mount on top at `target` by umount2(2). EINVAL: nothing is mounted there; EBUSY: in use."""
    libc("umount2", os.fsencode(target), flags, filename=target)


@dataclass(frozen=True, slots=True)
class MountInfo:
    """One line of /proc/self/mountinfo (proc_pid_mountinfo(5)); numbers are ids of mounts."""

    id: int
    parent: int
    root: str
    target: str
    options: str
    tags: tuple[str, ...]
    """Propagation: "shared:N", "master:N"…; empty for private."""
    fstype: str
    source: str
    super_options: str


def mountinfo(pid: int | str = "self") -> Iterator[MountInfo]:
    """Yield every mount of the mount namespace that `pid` is in, in the kernel's order (a mount comes after its
    parent)."""
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        text = lines.read()
    for line in text.splitlines():
        fields = line.split(" ")
        dash = fields.index("-", 6)
        yield MountInfo(
            int(fields[0]),
            int(fields[1]),
            _plain(fields[3]),
            _plain(fields[4]),
            fields[5],
            tuple(fields[6:dash]),
            fields[dash + 1],
            _plain(fields[dash + 2]),
            fields[dash + 3],
        )


def mount_of(fd: int, pid: int | str = "self") -> MountInfo:
    """Return the mount that the file behind `fd` is on, which is in the mount namespace of `pid`."""
    number = mount_id(fd)
    return next(mount for mount in mountinfo(pid) if mount.id == number)


def mount_id(fd: int) -> int:
    """Return the number of the mount that the file behind `fd` is on (proc_pid_fdinfo(5))."""
    with open(f"/proc/self/fdinfo/{fd}") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("mnt_id:"))


def _plain(text: str) -> str:
    """Undo the octal escapes (blank, tab, newline, backslash, #) of mountinfo."""
    if "\\" not in text:
        return text
    head, *rest = text.split("\\")
    return head + "".join(chr(int(part[:3], 8)) + part[3:] for part in rest)
