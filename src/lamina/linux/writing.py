"""Writing a whole buffer, and recognising that the disk is full."""

from __future__ import annotations

import errno
import os
import select
from contextlib import contextmanager

from lamina.errors import NoSpace
from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeGuard

MESSAGE = "no space left on device"
ADVICE = "Free some, for example with a prune"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def write_all(fd: int, data: bytes | bytearray | memoryview) -> None:
    """Write every byte of `data` to `fd`, where write(2) may take fewer. Raise OSError.

    A descriptor that somebody made non-blocking, such as a shared terminal, is waited for.
    """
    left = memoryview(data).cast("B")
    while left:
        try:
            left = left[os.write(fd, left) :]
        except BlockingIOError:
            waiting = select.poll()  # select(2) takes no descriptor above 1023
            waiting.register(fd, select.POLLOUT)
            waiting.poll()


def write_all_at(fd: int, data: bytes | memoryview, offset: int) -> None:
    """Write every byte of `data` to `fd` from `offset` on, where pwrite(2) may take fewer. Raise OSError."""
    left = memoryview(data).cast("B")
    while left:
        count = os.pwrite(fd, left, offset)
        left, offset = left[count:], offset + count


def is_disk_full(error: BaseException | None) -> TypeGuard[OSError]:
    """Return whether `error` says that a disk, or a quota on it, is full (errno(3))."""
    return isinstance(error, OSError) and error.errno in _FULL


def no_space(error: OSError, message: str = MESSAGE, advice: str | None = ADVICE) -> NoSpace:
    """Return what to raise in place of `error`, which says that the disk is full."""
    return NoSpace(message, advice=advice, path=error.filename)


@contextmanager
def full_disk_as_no_space(message: str = MESSAGE, advice: str | None = ADVICE) -> Iterator[None]:
    """Raise NoSpace with `message` for a full disk or quota; let everything else through."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise no_space(error, message, advice) from error
        raise
