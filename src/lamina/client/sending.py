"""Bodies of requests: bytes and files go out with their length, files by the kernel; all else in HTTP's chunks."""

from __future__ import annotations

import errno
import os
import stat

from lamina.client.splice import plain_descriptor
from lamina.errors import Conflict
from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from _socket import socket as Socket
    from collections.abc import Iterable, Iterator
    from typing import Any

    Body = bytes | Iterable[bytes] | None

PIECE = 1 << 20  # bytes read from a file at once
_LARGEST = 1 << 30  # bytes sent at once; the kernel takes less than 2 GiB
_SMALL = 1 << 14  # bytes that are cheaper copied than sent by themselves
TAR = {"Content-Type": "application/x-tar"}


def length_of(body: Body) -> int | None:
    """Return how many bytes will be sent, of a file those behind its position; None if the length is not known."""
    if body is None or isinstance(body, bytes):
        return len(body or b"")
    file: Any = body
    descriptor = plain_descriptor(file)
    if descriptor is None:
        return None
    status = os.fstat(descriptor)
    return max(0, status.st_size - file.tell()) if stat.S_ISREG(status.st_mode) else None


def send(sock: Socket, body: Iterable[bytes], length: int | None) -> None:
    """Send a file or an iterable of bytes. `length` is the length in the head, None for chunks.

    Raise OSError, what `body` raises, and Conflict for a file that became shorter meanwhile.
    """
    if length is None:
        _send_chunks(sock, body)
    elif length and _send_file(sock, body, length) < length:
        raise Conflict("the file became shorter while it was sent", advice="Try again when nothing writes to it")


def _send_file(sock: Socket, file: Any, length: int) -> int:
    """Send bytes of a file by the kernel, and return their number; TLS sends them by itself."""
    by_itself = getattr(sock, "sendfile", None)
    if by_itself is not None:
        return int(by_itself(file, file.tell(), length))
    start = offset = file.tell()
    while offset < start + length:
        count = _send_part(sock, file.fileno(), offset, start + length - offset)
        if not count:
            break
        offset += count
    return int(offset - start)


def _send_part(sock: Socket, fd: int, offset: int, most: int) -> int:
    try:
        return os.sendfile(sock.fileno(), fd, offset, min(most, _LARGEST))
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
    data = os.pread(fd, min(most, PIECE), offset)  # not every file system lets the kernel send its files
    sock.sendall(data)
    return len(data)


def _send_chunks(sock: Socket, body: Iterable[bytes]) -> None:
    for piece in _pieces(body):
        if 0 < len(piece) < _SMALL:
            sock.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        elif piece:
            sock.sendall(b"%x\r\n" % len(piece))
            sock.sendall(piece)
            sock.sendall(b"\r\n")
    sock.sendall(b"0\r\n\r\n")


def _pieces(body: Iterable[bytes]) -> Iterator[bytes]:
    """Return a file in large pieces rather than in lines."""
    read = getattr(body, "read", None)
    return iter(body) if read is None else iter(lambda: read(PIECE), b"")
