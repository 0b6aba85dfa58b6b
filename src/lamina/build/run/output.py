"""What a RUN's command prints, on its way to the build's output."""

from __future__ import annotations

import codecs
import socket
from collections.abc import Callable

from lamina.formats.frames import STDERR, STDOUT, Deframer

_CHUNK = 64 * 1024
_LOOK_SECONDS = 0.25  # how often a silent command's build is asked whether it was cancelled


def follow(source: socket.socket, show: Callable[[str, bool], None], cancelled: Callable[[], bool]) -> bool:
    """Hand on all output from an attached `source` (Docker's 8-byte frames) until it ends; False when cancelled.

    `show` takes the text, and whether it came from the standard error.
    Bytes that are no UTF-8 show as the replacement character; a character may be cut between two frames.
    """
    source.settimeout(_LOOK_SECONDS)
    decoders = {number: codecs.getincrementaldecoder("utf-8")("replace") for number in (STDOUT, STDERR)}
    deframer = Deframer()
    while True:
        try:
            piece = source.recv(_CHUNK)
        except TimeoutError:
            if cancelled():
                return False
            continue
        if not piece:
            return True
        for stream, data in deframer.feed(piece):
            if text := decoders[STDERR if stream == STDERR else STDOUT].decode(data):
                show(text, stream == STDERR)
