"""Making the file that an entry describes, in a directory that is already open.

Nothing here follows a symlink at the end of a path or opens what was there before: what stands in the way is removed,
and the new file is made exclusively. So no entry writes through a link, a device or a pipe that an earlier one left.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from lamina.errors import Forbidden, InvalidInput, LaminaError, NoSpace, TooLarge
from lamina.layers.capabilities import host_capabilities
from lamina.layers.entry import Entry, EntryType
from lamina.layers.tar.reader import MemberData
from lamina.layers.tar.source import CHUNK
from lamina.linux.user_namespaces import IdMap
from lamina.linux.writing import is_disk_full, write_all

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEVICES = {EntryType.CHAR: stat.S_IFCHR, EntryType.BLOCK: stat.S_IFBLK, EntryType.FIFO: stat.S_IFIFO}


class Placer:
    """Make files with the owner, mode, attributes and time of their entries.

    `owner` (uid, gid) replaces the entries' own; `own` False leaves owners to the kernel. `ids` says who on the host
    these owners are.
    """

    def __init__(self, owner: tuple[int, int] | None, own: bool, ids: IdMap | None = None) -> None:
        self._owner = owner
        self._own = own
        self._ids = ids
        self.privileged = os.geteuid() == 0

    def owner_of(self, entry: Entry) -> tuple[int, int]:
        """Return who shall own the file: -1 where it stays as it is. Raise InvalidInput for ids that have no owner."""
        if not self._own:
            return -1, -1
        uid, gid = self._owner or (entry.uid, entry.gid)
        return self._ids.to_host(uid, gid) if self._ids else (uid, gid)

    def _set_xattrs(self, file: int | str, xattrs: Mapping[str, bytes]) -> None:
        ids = self._ids
        mapped = {name: host_capabilities(name, value, ids) for name, value in xattrs.items()} if ids else xattrs
        set_xattrs(file, mapped, self.privileged)

    def file(self, parent: int, name: str, entry: Entry, xattrs: Mapping[str, bytes], data: MemberData) -> None:
        """Make a regular file. Raise FileExistsError, with nothing read of `data`, when something is there."""
        new = os.open(name, _NEW_FILE, 0o600, dir_fd=parent)
        try:
            if entry.sparse is not None:
                _write_pieces(new, entry, data)
            elif entry.size:
                _write(new, data, entry.size)
            self.dress(new, entry, xattrs, entry.mode)
            os.utime(new, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(new)

    def dress(self, file: int, entry: Entry, xattrs: Mapping[str, bytes], mode: int) -> None:
        """Give an open file or directory its owner, mode and attributes, in the order in which none undoes another."""
        if self._own:
            os.fchown(file, *self.owner_of(entry))
        os.fchmod(file, mode)
        if xattrs:
            self._set_xattrs(file, xattrs)

    def open_directory(self, parent: int, name: str) -> int:
        """Return a descriptor of a directory that is there, for `dress`."""
        return os.open(name, _DIRECTORY, dir_fd=parent)

    def special(self, parent: int, name: str, entry: Entry, xattrs: Mapping[str, bytes]) -> None:
        """Make a symlink, device or pipe. Raise FileExistsError when something is there."""
        if entry.type is EntryType.SYMLINK:
            os.symlink(entry.target, name, dir_fd=parent)
        else:
            kind = _DEVICES[entry.type]
            os.mknod(name, kind | 0o600, os.makedev(entry.major, entry.minor), dir_fd=parent)
        file = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            self._dress_special(f"/proc/self/fd/{file}", entry, xattrs)
        finally:
            os.close(file)

    def _dress_special(self, held: str, entry: Entry, xattrs: Mapping[str, bytes]) -> None:
        """Dress the inode that the path `held` in /proc leads to, even if it is a symlink or was renamed meanwhile."""
        if self._own:
            os.chown(held, *self.owner_of(entry))
        if entry.type is not EntryType.SYMLINK:
            os.chmod(held, entry.mode)
        self._set_xattrs(held, xattrs)
        os.utime(held, ns=(entry.mtime_ns, entry.mtime_ns))


def _write(file: int, data: MemberData, size: int) -> None:
    while size:
        piece = data.read(min(size, CHUNK))
        size -= len(piece)
        write_all(file, piece)


def _write_pieces(file: int, entry: Entry, data: MemberData) -> None:
    os.ftruncate(file, entry.size)
    for offset, length in entry.sparse or ():
        os.lseek(file, offset, os.SEEK_SET)
        _write(file, data, length)


_UNSUPPORTED = (errno.ENOTSUP, errno.EOPNOTSUPP)


def set_xattrs(file: int | str, xattrs: Mapping[str, bytes], privileged: bool) -> None:
    """Set extended attributes on what a descriptor holds open, or what a path in /proc/self/fd leads to.

    A file system that has no such attributes is no failure, and neither is a user who may not set them.
    """
    for name, value in xattrs.items():
        try:
            os.setxattr(file, name, value)
        except OSError as error:
            if error.errno not in _UNSUPPORTED and (privileged or error.errno != errno.EPERM):
                raise


def clear_xattrs(file: int, keep: Mapping[str, bytes]) -> None:
    """Take away the extended attributes of a descriptor's file that are not in `keep`."""
    try:
        names = os.listxattr(file)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return
        raise
    for name in names:
        if name not in keep and not name.startswith("security.selinux"):
            os.removexattr(file, name)


@contextmanager
def placing(path: str) -> Iterator[None]:
    """Turn what the kernel says about putting the entry `path` in place into errors that name it."""
    try:
        yield
    except OSError as error:
        raise _explained(path, error) from error


def _explained(path: str, error: OSError) -> LaminaError:
    if is_disk_full(error):
        return NoSpace(f"cannot unpack {path!r}: no space left on device", path=path)
    if error.errno in (errno.EPERM, errno.EACCES, errno.EROFS):
        return Forbidden(f"may not unpack {path!r}: {error.strerror}", path=path)
    if error.errno in (errno.ENAMETOOLONG, errno.EFBIG, errno.E2BIG, errno.EMLINK):
        return TooLarge(f"cannot unpack {path!r}: {error.strerror}", path=path)
    return InvalidInput(f"cannot unpack {path!r}: {error.strerror}", path=path, errno=error.errno)
