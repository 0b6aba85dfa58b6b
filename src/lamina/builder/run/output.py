"""What a RUN's command prints, on its way to the build's output."""

from __future__ import annotations

import codecs
import socket
from collections.abc import Callable
from contextlib import suppress

from lamina.formats.frames import STDERR, STDOUT, Deframer

_CHUNK = 64 * 1024


def follow(source: socket.socket, show: Callable[[str, bool], None]) -> None:
    """Hand on all output from an attached `source` (Docker's stream frames) until it ends.

    `show` takes the text, and whether it came from the standard error.
    Bytes that are no UTF-8 show as the replacement character; a character may be cut between two frames.
    """
    decoders = {number: codecs.getincrementaldecoder("utf-8")("replace") for number in (STDOUT, STDERR)}
    deframer = Deframer()
    while piece := source.recv(_CHUNK):
        for stream, data in deframer.feed(piece):
            if text := decoders[STDERR if stream == STDERR else STDOUT].decode(data):
                show(text, stream == STDERR)


def hang_up(source: socket.socket) -> None:
    """End the output, for the thread that waits for it in `follow`; may be called at any time."""
    with suppress(OSError):  # it has ended by itself
        source.shutdown(socket.SHUT_RDWR)
