"""HTTP/1.1 over one socket, as much of it as an Engine API client needs.

Written by hand for two reasons: the standard library's client costs a command line more to import than the command
itself, and a hijacked connection needs the bytes that came behind the response head. RFC 9112 is the rule.
"""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from lamina.errors import Corrupt, LaminaError, Unavailable

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_HEAD = 64 * 1024  # bytes of one line, or of one response head
PIECE = 64 * 1024  # bytes asked from the socket at once
NO_BODY = frozenset((101, 204, 304))

Body = bytes | Iterable[bytes] | None


class Source:
    """The incoming bytes of a socket, with what was read too far kept in front."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.ahead = bytearray()

    def line(self) -> bytes:
        """One line without its end. Raises Unavailable where the stream ends first, Corrupt where it is too long."""
        while (end := self.ahead.find(b"\n")) < 0:
            if len(self.ahead) > MAX_HEAD:
                raise Corrupt("the daemon answered with something that is not HTTP")
            if not self._more():
                raise Unavailable("the daemon closed the connection before it answered", early=not self.ahead)
        line = bytes(self.ahead[:end]).rstrip(b"\r")
        del self.ahead[: end + 1]
        return line

    def some(self, limit: int) -> bytes:
        """Between 1 and `limit` bytes, as soon as there are any; b"" at the end of the stream."""
        if not self.ahead:
            return self._receive(limit)
        data = bytes(self.ahead[:limit])
        del self.ahead[:limit]
        return data

    def _more(self) -> bool:
        data = self._receive(PIECE)
        self.ahead += data
        return bool(data)

    def _receive(self, limit: int) -> bytes:
        try:
            return self.sock.recv(limit)
        except OSError as error:
            raise Unavailable(f"the connection to the daemon broke ({error.strerror or error})", early=True) from error


class _Incoming(io.RawIOBase):
    """The body of a response without its framing; read it through the buffered `Reply.body`."""

    def __init__(self, source: Source, length: int | None, chunked: bool) -> None:
        self._source = source
        self._left = 0 if chunked else length  # bytes left of the body or chunk; None: until the stream ends
        self._chunked = chunked
        self.finished = length == 0 and not chunked

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        if self._chunked and not self._left and not self.finished:
            self._next_chunk()
        if self.finished:
            return 0
        data = self._source.some(len(view) if self._left is None else min(len(view), self._left))
        if not data:
            return self._ended()
        view[: len(data)] = data
        self._consume(len(data))
        return len(data)

    def _ended(self) -> int:
        self.finished = True
        if self._left is not None:
            raise Unavailable("the daemon closed the connection in the middle of its answer")
        return 0

    def _consume(self, count: int) -> None:
        if self._left is None:
            return
        self._left -= count
        if self._left == 0 and self._chunked:
            self._source.line()  # the line end behind the chunk
        elif self._left == 0:
            self.finished = True

    def _next_chunk(self) -> None:
        size = self._source.line().partition(b";")[0].strip()
        try:
            self._left = int(size, 16)
        except ValueError:
            raise Corrupt(f"the daemon sent the chunk size {size[:20]!r}") from None
        if self._left == 0:
            while self._source.line():  # trailers, up to the empty line
                pass
            self.finished = True


class Reply:
    """A response whose head was read. Header names are in lower case. `close` may be called twice."""

    def __init__(self, wire: Wire, status: int, reason: str, headers: Mapping[str, str], has_body: bool) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self._wire = wire
        chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        length = headers.get("content-length")
        known = int(length) if length is not None and length.isdecimal() else None
        self._incoming = _Incoming(wire.source, known if has_body else 0, chunked and has_body)
        self.body = io.BufferedReader(self._incoming, PIECE)

    def read(self) -> bytes:
        """The whole body; the connection can then serve the next request."""
        try:
            return self.body.read()
        except Unavailable:
            self._wire.check_upload()
            raise
        finally:
            self.close()

    def close(self) -> None:
        """Give the connection back where everything was read, else end it."""
        wants_close = self.headers.get("connection", "").lower() == "close"
        self._wire.done(reusable=self._incoming.finished and not wants_close)


class Wire:
    """One connection. A request is written, then its response is read; `on_done` hears when that is over."""

    def __init__(self, sock: socket.socket, host: str, on_done: Callable[[Wire, bool], None]) -> None:
        self.sock = sock
        self.source = Source(sock)
        self.used = False  # whether a request was answered on it before
        self._host = host
        self._on_done = on_done
        self._busy = False
        self._upload: threading.Thread | None = None
        self._upload_error: BaseException | None = None

    def exchange(self, method: str, target: str, headers: Mapping[str, str], body: Body) -> Reply:
        """Send one request and read the head of its response.

        A `bytes` body goes out with its length; any other iterable goes out in chunks from a thread of its own, so
        that a daemon which answers while it reads is heard. An error raised by the iterable ends the connection and
        is raised again from here or from `Reply.read`.
        """
        self._busy = True
        try:
            self._send(method, target, headers, body)
            reply = self._read_head(method)
        except BaseException:
            self.done(reusable=False)
            self.check_upload()
            raise
        self.used = True
        return reply

    def check_upload(self) -> None:
        """Raise what went wrong while the body was made, where anything did."""
        if self._upload is not None and self._upload is not threading.current_thread():
            self._upload.join(timeout=5)
        if self._upload_error is not None:
            raise self._upload_error

    def done(self, reusable: bool) -> None:
        """End the exchange. The second call does nothing."""
        if not self._busy:
            return
        self._busy = False
        uploading = self._upload is not None and self._upload.is_alive()
        self._on_done(self, reusable and not uploading)

    def close(self) -> None:
        """Close the socket, for a sender in its thread as well. May be called twice."""
        with suppress(OSError):  # not connected any more
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def _send(self, method: str, target: str, headers: Mapping[str, str], body: Body) -> None:
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self._host}", "User-Agent: lamina"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if isinstance(body, bytes):
            lines.append(f"Content-Length: {len(body)}")
        elif body is not None:
            lines.append("Transfer-Encoding: chunked")
        elif method in ("POST", "PUT"):
            lines.append("Content-Length: 0")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")
        try:
            self.sock.sendall(head + body if isinstance(body, bytes) else head)
        except OSError as error:
            if not isinstance(error, BrokenPipeError | ConnectionResetError):
                raise Unavailable(f"cannot send to the daemon ({error.strerror})", early=True) from error
            return  # an answer may wait all the same; reading tells
        if body is not None and not isinstance(body, bytes):
            self._upload = threading.Thread(target=self._send_chunks, args=(body,), daemon=True)
            self._upload.start()

    def _send_chunks(self, body: Iterable[bytes]) -> None:
        try:
            for piece in body:
                if piece:
                    self.sock.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.sock.sendall(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            return  # the daemon heard enough; its answer tells why
        except (OSError, LaminaError) as error:
            self._upload_error = error
            self.close()

    def _read_head(self, method: str) -> Reply:
        while True:
            status, reason = _status(self.source.line())
            headers = self._headers()
            if status >= 200 or status == 101:  # others are interim answers, such as 100 Continue
                return Reply(self, status, reason, headers, method != "HEAD" and status not in NO_BODY)

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        size = 0
        while line := self.source.line():
            name, _, value = line.decode("utf-8", "replace").partition(":")
            headers[name.strip().lower()] = value.strip()
            size += len(line)
            if size > MAX_HEAD:
                raise Corrupt("the head of the daemon's answer is too long")
        return headers


def _status(line: bytes) -> tuple[int, str]:
    version, _, rest = line.decode("latin-1").partition(" ")
    code, _, reason = rest.partition(" ")
    if not version.startswith("HTTP/1.") or not code.isdecimal():
        raise Corrupt("the daemon answered with something that is not HTTP", got=line[:80])
    return int(code), reason
