"""Reading an archive in order, in large pieces, from any stream."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Protocol

from lamina.errors import InvalidInput, TooLarge

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHUNK = 1 << 20


class Readable(Protocol):
    """What an archive is read from: `read(n)` returns 1 to n bytes, or none at the end."""

    def read(self, size: int, /) -> bytes: ...


class PieceReader(io.RawIOBase):
    """A file object whose class says how `read` gets the next piece."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        piece = self.read(len(view))
        view[: len(piece)] = piece
        return len(piece)


class Prefixed:
    """`head`, which was read already, and then the rest of `stream`."""

    def __init__(self, head: bytes, stream: Readable) -> None:
        self._head = head
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        if not self._head:
            return self._stream.read(size)
        piece, self._head = self._head[:size], self._head[size:]
        return piece


class TarSource:
    """A stream with a buffer, a position, and a bound on how much it may give."""

    def __init__(self, stream: Readable, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._buffer = b""
        self._next = 0
        self._before = 0

    @property
    def offset(self) -> int:
        """Return the position of the next byte in the stream."""
        return self._before + self._next

    def _refill(self) -> bool:
        """Read the next buffer. Return False at the end of the stream."""
        self._before += len(self._buffer)
        self._next = 0
        self._buffer = self._stream.read(CHUNK)
        if self._before + len(self._buffer) > self._limit:
            raise TooLarge(f"the archive is larger than {self._limit} bytes", limit=self._limit)
        return bool(self._buffer)

    def piece(self, most: int) -> bytes:
        """Return the next bytes, at most `most` and at least one; none at the end of the stream."""
        if self._next == len(self._buffer) and not self._refill():
            return b""
        start = self._next
        piece = self._buffer[start : start + most]
        self._next = start + len(piece)
        return piece

    def upto(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only when the stream ends."""
        start = self._next
        if start + size <= len(self._buffer):
            self._next = start + size
            return self._buffer[start : start + size]
        pieces = []
        while size and (piece := self.piece(size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def exactly(self, size: int) -> bytes:
        """Return the next `size` bytes. Raise InvalidInput when the stream ends before."""
        data = self.upto(size)
        if len(data) < size:
            raise InvalidInput(f"the archive ends at byte {self.offset}, in the middle of a member", offset=self.offset)
        return data

    def skip(self, size: int) -> int:
        """Skip `size` bytes. Return how many were missing because the stream ended."""
        while size:
            buffered = min(size, len(self._buffer) - self._next)
            self._next += buffered
            size -= buffered
            if size and not self._refill():
                break
        return size
