"""Bodies of requests: bytes and files go out with their length, files by the kernel; all else in HTTP's chunks."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterable, Iterator
from functools import partial
from typing import IO, cast

from lamina.client.splice import plain_descriptor
from lamina.errors import Conflict

PIECE = 1 << 20  # bytes read from a file at once
_SMALL = 1 << 14  # bytes that are cheaper copied than sent by themselves
TAR = {"Content-Type": "application/x-tar"}

Body = bytes | Iterable[bytes] | None


def length_of(body: Body) -> int | None:
    """Return how many bytes will be sent, of a file those behind its position; None if the length is not known."""
    if body is None or isinstance(body, bytes):
        return len(body or b"")
    descriptor = plain_descriptor(cast(IO[bytes], body))
    if descriptor is None:
        return None
    status = os.fstat(descriptor)
    return max(0, status.st_size - cast(IO[bytes], body).tell()) if stat.S_ISREG(status.st_mode) else None


def send(sock: socket.socket, body: Iterable[bytes], length: int | None) -> None:
    """Send a file or an iterable of bytes. `length` is the length in the head, None for chunks.

    Raise OSError, what `body` raises, and Conflict for a file that became shorter meanwhile.
    """
    if length is None:
        _send_chunks(sock, body)
    elif length:
        file = cast(IO[bytes], body)
        sent = sock.sendfile(file, file.tell(), length)
        if sent < length:
            raise Conflict("the file became shorter while it was sent", advice="Try again when nothing writes to it")


def _send_chunks(sock: socket.socket, body: Iterable[bytes]) -> None:
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
    return iter(body) if read is None else iter(partial(read, PIECE), b"")
