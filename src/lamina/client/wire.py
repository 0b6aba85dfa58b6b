"""HTTP/1.1 over one socket, as much of it as an Engine API client needs.

Written by hand for two reasons: the standard library's client costs a command line more to import than the command
itself, and a hijacked connection needs the bytes that came behind the response head. RFC 9112 is the rule.
"""

from __future__ import annotations

import io
from _socket import SHUT_RDWR
from _thread import get_ident

from lamina.cancellation import NEVER, Cancellation
from lamina.client.incoming import MAX_HEAD, PIECE, Incoming, ReceivedBytes
from lamina.client.sending import length_of, send
from lamina.errors import Corrupt, LaminaError, Unavailable
from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from _socket import socket as Socket
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import IO

    from lamina.cancellation import Following
    from lamina.client.sending import Body

_LAST_LINES = 1.0  # seconds for a sender whose bytes were all heard
NO_BODY = frozenset((101, 204, 304))


class Reply:
    """A response whose head was read. Header names are in lower case. `close` may be called twice."""

    def __init__(
        self,
        wire: Wire,
        status: int,
        reason: str,
        headers: Mapping[str, str],
        has_body: bool,
        cancellation: Cancellation,
    ) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self._wire = wire
        chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        length = headers.get("content-length")
        body_length = int(length) if length is not None and length.isdecimal() else None
        self._incoming = Incoming(wire.source, body_length if has_body else 0, chunked and has_body, cancellation)
        self.body = io.BufferedReader(self._incoming, PIECE)

    def read(self) -> bytes:
        """Return the whole body; the connection can then serve the next request."""
        try:
            return self.body.read()
        except Unavailable:
            self._wire.check_upload()
            raise
        finally:
            self.close()

    def pour(self, sink: IO[bytes]) -> None:
        """Write the whole unread body into `sink`. Raise Unavailable when it ends too early."""
        try:
            self._incoming.pour(sink)
        finally:
            self.close()

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it comes; closing the iterator ends the connection."""
        try:
            while chunk := self.body.read1(PIECE):
                yield chunk
        finally:
            self.close()

    def ready(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for bytes of the body, or its end, and return whether there are any."""
        from select import select

        source = self._wire.source
        if source.ahead or getattr(source.sock, "pending", int)():
            return True
        return bool(select([source.sock], [], [], timeout)[0])

    def close(self) -> None:
        """Give the connection back where everything was read, else end it."""
        wants_close = self.headers.get("connection", "").lower() == "close"
        self._wire.done(reusable=self._incoming.finished and not wants_close)


class Wire:
    """One connection. A request is written, then its response is read; `on_done` hears when that is over."""

    def __init__(self, sock: Socket, host: str, on_done: Callable[[Wire, bool], None]) -> None:
        self.sock = sock
        self.source = ReceivedBytes(sock)
        self.used = False  # whether a request was answered on it before
        self._host = host
        self._on_done = on_done
        self._busy = False
        self._following: Following | None = None  # the cancellation, while a request is under way
        self._upload: threading.Thread | None = None
        self._upload_error: BaseException | None = None
        self._upload_ends = True  # whether shutting the socket ends the upload: not so where its source may block

    def exchange(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Body,
        cancellation: Cancellation = NEVER,
    ) -> Reply:
        """Send one request and read the head of its response.

        A `bytes` body and a file go out with their length, any other iterable in chunks; all but bytes from a thread
        of its own, so that a daemon which answers while it reads is heard. An error raised by the iterable ends the
        connection and is raised again from here or from `Reply.read`. `cancellation` shuts the connection down until
        the reply is closed; whoever reads gets Cancelled then.
        """
        self._busy = True
        if cancellation is not NEVER:
            self._following = cancellation.on_cancel(self._shut_down)
            self._following.__enter__()
        try:
            self._send(method, target, headers, body)
            reply = self._read_head(method, cancellation)
        except BaseException:
            self.done(reusable=False)
            cancellation.check()
            self.check_upload()
            raise
        self.used = True
        return reply

    def check_upload(self) -> None:
        """Raise what went wrong while the body was made, where anything did."""
        if self._upload is not None and not self._is_uploading_here():
            self._upload.join(timeout=5)
        if self._upload_error is not None:
            raise self._upload_error

    def done(self, reusable: bool) -> None:
        """End the exchange. The second call does nothing."""
        if not self._busy:
            return
        self._busy = False
        if self._following is not None:
            self._following.__exit__()
            self._following = None
        if reusable:
            self._wait_for_upload(_LAST_LINES)
        uploading = self._upload is not None and self._upload.is_alive()
        self._on_done(self, reusable and not uploading)

    def close(self) -> None:
        """Close the socket, for a sender in its thread as well. May be called twice.

        A file that was being sent is left alone when this returns: its owner may close it.
        """
        self._shut_down()
        self._wait_for_upload(None)  # before the descriptor's number can name something else
        self.sock.close()

    def _shut_down(self) -> None:
        try:
            self.sock.shutdown(SHUT_RDWR)
        except OSError:
            return  # not connected any more

    def _wait_for_upload(self, seconds: float | None) -> None:
        if self._upload is not None and self._upload_ends and not self._is_uploading_here():
            self._upload.join(seconds)

    def _is_uploading_here(self) -> bool:
        return self._upload is not None and self._upload.ident == get_ident()

    def _send(self, method: str, target: str, headers: Mapping[str, str], body: Body) -> None:
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self._host}", "User-Agent: lamina"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        length = length_of(body)
        if length is None:
            lines.append("Transfer-Encoding: chunked")
        elif body is not None or method in ("POST", "PUT"):
            lines.append(f"Content-Length: {length}")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")
        try:
            self.sock.sendall(head + body if isinstance(body, bytes) else head)
        except OSError as error:
            if not isinstance(error, BrokenPipeError | ConnectionResetError):
                raise Unavailable(f"cannot send to the daemon ({error.strerror})", early=True) from error
            return  # an answer may wait all the same; reading tells
        if body is not None and not isinstance(body, bytes):
            import threading

            self._upload_ends = length is not None
            self._upload = threading.Thread(target=self._upload_body, args=(body, length), daemon=True)
            self._upload.start()

    def _upload_body(self, body: Iterable[bytes], length: int | None) -> None:
        try:
            send(self.sock, body, length)
        except (BrokenPipeError, ConnectionResetError):
            return  # the daemon heard enough; its answer tells why
        except (OSError, LaminaError) as error:
            self._upload_error = error
            self.close()

    def _read_head(self, method: str, cancellation: Cancellation) -> Reply:
        while True:
            status, reason = _status(self.source.line())
            headers = self._headers()
            if status >= 200 or status == 101:  # others are interim answers, such as 100 Continue
                has_body = method != "HEAD" and status not in NO_BODY
                return Reply(self, status, reason, headers, has_body, cancellation)

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
