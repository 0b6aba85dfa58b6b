"""Putting owner, mode, extended attributes and time of an entry on a file, and what to do where that fails."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from lamina.errors import Forbidden, InvalidInput, LaminaError, NoSpace, TooLarge
from lamina.linux.writing import is_disk_full

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
