"""A server on a unix socket that hears whole HTTP requests, and answers with just the bytes a test gave it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
_LAST = (b"Connection: close", b" 101 ")  # answers after which nothing more is heard on a connection


class RawServer:
    """Takes one connection after the other. `close` ends it and waits for its thread.

    Each request gets the first of `answers` that is left, then `otherwise`; None hangs up instead. Answers go out in
    pieces of `piece` bytes, as networks may cut them. With `hangs_up` each connection ends after one answer.
    """

    def __init__(self, folder: Path, *, piece: int = 1 << 20, hangs_up: bool = False) -> None:
        self.path = folder / "s"
        self.requests: list[bytes] = []
        self.connections = 0
        self.answers: list[bytes | None] = []
        self.otherwise = OK
        self.at_first: Callable[[], None] = lambda: None  # called when the first bytes of a request were heard
        self._piece = piece
        self._hangs_up = hangs_up
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def head(self) -> bytes:
        """The last request's line and headers."""
        return self.requests[-1].partition(b"\r\n\r\n")[0]

    @property
    def body(self) -> bytes:
        """The last request's body, as it was framed."""
        return self.requests[-1].partition(b"\r\n\r\n")[2]

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            with connection, suppress(OSError):  # a client that heard enough
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        while request := self._request(connection):
            self.requests.append(request)
            answer = self.answers.pop(0) if self.answers else self.otherwise
            if answer is None:
                return
            for at in range(0, len(answer), self._piece):
                connection.sendall(answer[at : at + self._piece])
            if self._hangs_up or any(mark in answer for mark in _LAST):
                return

    def _request(self, connection: socket.socket) -> bytes:
        """A whole request; empty when the client goes away first."""
        data = b""
        while not _is_whole(data):
            if not (piece := connection.recv(1 << 20)):
                return b""
            if not data:
                self.at_first()
            data += piece
        return data


def _is_whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return False
    if b"chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0] or 0)
    return len(body) >= length
