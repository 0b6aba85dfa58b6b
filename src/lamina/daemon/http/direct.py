"""Large answers, written to the client's socket by the thread that makes them, past the event loop.

Through the loop a byte is copied several times and handed from thread to thread; a `docker save` runs ten times as
fast this way. Over TLS the loop has to do it.
"""

from __future__ import annotations

import os
import select
import socket

from aiohttp import HttpVersion11, web

from lamina.errors import Cancelled

_GLANCE = 500  # milliseconds between looks whether the request was cancelled while the client does not read


class DirectSink:
    """Writes an answer's body in HTTP's chunks. `cancel`, from any thread, makes a waiting `write` raise Cancelled."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._poll = select.poll()
        self._poll.register(connection, select.POLLOUT)
        self._cancelled = False

    def write(self, data: bytes) -> int:
        """Raises Cancelled when the client is gone."""
        if data:
            self._send([f"{len(data):x}\r\n".encode(), data, b"\r\n"])
        return len(data)

    def cancel(self) -> None:
        self._cancelled = True

    def _send(self, buffers: list[bytes]) -> None:
        left = [memoryview(buffer) for buffer in buffers]
        while left:
            if self._cancelled:
                raise Cancelled("the client went away")
            try:
                sent = self._socket.sendmsg(left)
            except BlockingIOError:
                self._poll.poll(_GLANCE)
                continue
            except OSError as error:
                raise Cancelled("the client went away") from error
            while left and sent >= len(left[0]):
                sent -= len(left.pop(0))
            if left:
                left[0] = left[0][sent:]


def plain_socket(request: web.Request) -> socket.socket | None:
    """A descriptor of the client's connection of its own; None where bytes must go through the event loop."""
    transport = request.transport
    if transport is None or transport.get_extra_info("sslcontext") is not None or request.version < HttpVersion11:
        return None
    return socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
