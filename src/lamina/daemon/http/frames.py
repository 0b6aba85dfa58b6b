"""Docker's multiplexed streams: an 8-byte head before each piece tells its stream and its length."""

from __future__ import annotations

import struct

STDOUT, STDERR = 1, 2
_FRAME = struct.Struct(">BxxxL")


def frame(stream: int, data: bytes) -> bytes:
    """`data` with its head."""
    return _FRAME.pack(stream, len(data)) + data


class Unframed:
    """Takes a framed stream in pieces of any size, and gives what is in the frames."""

    def __init__(self) -> None:
        self._head = b""
        self._left = 0  # bytes of the frame that are still to come

    def __call__(self, data: bytes) -> bytes:
        found = bytearray()
        at = 0
        while at < len(data):
            if self._left:
                piece = data[at : at + self._left]
                found += piece
                self._left -= len(piece)
                at += len(piece)
            else:
                missing = _FRAME.size - len(self._head)
                self._head += data[at : at + missing]
                at += missing
                if len(self._head) == _FRAME.size:
                    self._left = _FRAME.unpack(self._head)[1]
                    self._head = b""
        return bytes(found)


def framed(data: bytes) -> bytes:
    """A piece of a terminal's output as a frame of the standard output."""
    return frame(STDOUT, data)
