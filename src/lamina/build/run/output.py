"""What a RUN's command prints, on its way to the build's output."""

from __future__ import annotations

import codecs
import socket
import struct
from collections.abc import Callable, Mapping

_HEADER = struct.Struct(">BxxxL")
_CHUNK = 64 * 1024
_LOOK_SECONDS = 0.25  # how often a silent command's build is asked whether it was cancelled


def follow(source: socket.socket, show: Callable[[str, bool], None], cancelled: Callable[[], bool]) -> bool:
    """Hand on all output from an attached `source` (Docker's 8-byte frames) until it ends; False when cancelled.

    `show` takes the text, and whether it came from the standard error.
    Bytes that are no UTF-8 show as the replacement character; a character may be cut between two frames.
    """
    source.settimeout(_LOOK_SECONDS)
    decoders = {number: codecs.getincrementaldecoder("utf-8")("replace") for number in (1, 2)}
    pending = b""
    while True:
        try:
            piece = source.recv(_CHUNK)
        except TimeoutError:
            if cancelled():
                return False
            continue
        if not piece:
            return True
        pending = _frames(pending + piece, decoders, show)


def _frames(data: bytes, decoders: Mapping[int, codecs.IncrementalDecoder], show: Callable[[str, bool], None]) -> bytes:
    """Show every whole frame in `data`, and give back what is left."""
    at = 0
    while len(data) - at >= _HEADER.size:
        stream, size = _HEADER.unpack_from(data, at)
        end = at + _HEADER.size + size
        if end > len(data):
            break
        text = decoders[2 if stream == 2 else 1].decode(data[at + _HEADER.size : end])
        if text:
            show(text, stream == 2)
        at = end
    return data[at:]
