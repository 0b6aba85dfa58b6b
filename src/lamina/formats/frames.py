"""Docker's multiplexed streams: an 8-byte head before each piece names its stream and its length."""

from __future__ import annotations

import struct

from lamina.errors import Corrupt
from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

STDIN, STDOUT, STDERR, SYSTEM_ERROR = 0, 1, 2, 3
MAX_FRAME = 1 << 30  # bytes; a longer frame means that the stream is not framed
_HEAD = struct.Struct(">BxxxL")


Piece = tuple[int, bytes]


def frame_head(stream: int, size: int) -> bytes:
    """Return the head of a frame of `size` bytes."""
    return _HEAD.pack(stream, size)


def frame(stream: int, data: bytes) -> bytes:
    """Return `data` with its head."""
    return _HEAD.pack(stream, len(data)) + data


class Deframer:
    """Split framed bytes into pieces of (stream, data), however they were cut. Feed it what arrives."""

    def __init__(self) -> None:
        self._head = b""
        self._stream = STDOUT
        self._left = 0  # bytes of the frame that are still to come

    def feed(self, data: bytes) -> list[Piece]:
        """Return the pieces that `data` brings; a long frame may come out in several. Raise Corrupt for a bad head."""
        pieces: list[Piece] = []
        start = 0
        while start < len(data):
            if self._left:
                piece = data[start : start + self._left]
                pieces.append((self._stream, piece))
                self._left -= len(piece)
                start += len(piece)
            else:
                missing = _HEAD.size - len(self._head)
                self._head += data[start : start + missing]
                start += missing
                if len(self._head) == _HEAD.size:
                    self._begin(self._head)
                    self._head = b""
        return pieces

    def _begin(self, head: bytes) -> None:
        _check(head)
        self._stream, self._left = _HEAD.unpack(head)


def whole_frames(chunks: Iterable[bytes]) -> Iterator[Piece]:
    """Yield each frame as one piece, however its bytes were cut. Raise Corrupt for a bad head."""
    waiting = bytearray()
    for chunk in chunks:
        waiting += chunk
        start = 0
        while len(waiting) >= start + _HEAD.size:
            stream, size = _HEAD.unpack_from(waiting, start)
            _check(waiting[start : start + _HEAD.size])
            end = start + _HEAD.size + size
            if len(waiting) < end:
                break
            yield stream, bytes(waiting[start + _HEAD.size : end])
            start = end
        del waiting[:start]


def _check(head: bytes | bytearray) -> None:
    stream, size = _HEAD.unpack(head)
    if stream > SYSTEM_ERROR or head[1:4] != b"\0\0\0" or size > MAX_FRAME:
        raise Corrupt("the output is not in Docker's stream format", head=bytes(head))


def unframer() -> Callable[[bytes], bytes]:
    """Return a function that takes a framed stream in pieces of any size and returns what its frames hold."""
    deframer = Deframer()
    return lambda data: b"".join(piece for _, piece in deframer.feed(data))
