"""Bytes from a socket into a file by the kernel alone: splice(2) through a pipe, no copy in this process."""

from __future__ import annotations

import errno
import io
import os

from lamina.errors import Unavailable
from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from _socket import socket as Socket
    from typing import IO

_PIPE = 1 << 20  # bytes of the pipe; what an unprivileged process may ask for


def plain_descriptor(file: IO[bytes]) -> int | None:
    """Return the descriptor of a plain file or socket; None for an object that changes or buffers bytes."""
    raw = file.raw if isinstance(file, io.BufferedWriter | io.BufferedReader) else file
    return raw.fileno() if type(raw) is io.FileIO else None


def _enlarge(pipe: int) -> None:
    import fcntl

    try:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
    except OSError:
        return  # too many pipes of this user are large already


class Splice:
    """Moves bytes from a blocking socket to the descriptor `target`. Used as a context manager."""

    def __init__(self, source: Socket, target: int) -> None:
        self._source = source.fileno()
        self._target = target
        self._out, self._in = os.pipe()
        _enlarge(self._in)

    def __enter__(self) -> Splice:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._in)
        os.close(self._out)

    def move(self, most: int) -> int:
        """Move at least one byte, 0 at the end of the stream. Raise Unavailable for the socket, OSError for the file.

        Returns when all that was taken from the socket is in the file.
        """
        try:
            count = os.splice(self._source, self._in, min(most, _PIPE))
        except OSError as error:
            raise Unavailable(f"the connection to the daemon broke ({error.strerror or error})", early=True) from error
        left = count
        while left:
            left -= self._from_pipe(left)
        return count

    def write(self, data: bytes) -> None:
        """Write bytes that were read from the socket before."""
        from lamina.linux.writing import write_all

        write_all(self._target, data)

    def _from_pipe(self, most: int) -> int:
        try:
            return os.splice(self._out, self._target, most)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        data = os.read(self._out, most)  # files opened for appending, terminals, and some others cannot be spliced to
        self.write(data)
        return len(data)
