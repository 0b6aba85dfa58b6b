"""The incoming bytes of a connection: lines of a response head, and a body without its framing (RFC 9112)."""

from __future__ import annotations

import io

from lamina.client.splice import Splice, plain_descriptor
from lamina.errors import Corrupt, Unavailable
from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from _socket import socket as Socket
    from typing import IO

    from _typeshed import WriteableBuffer

    from lamina.cancellation import Cancellation

MAX_HEAD = 64 * 1024  # bytes of one line, or of one response head
PIECE = 64 * 1024  # bytes asked from the socket at once
LARGE = 1 << 20  # the same where much is expected


class ReceivedBytes:
    """The incoming bytes of a socket. Bytes that were read too early wait in `ahead`."""

    def __init__(self, sock: Socket) -> None:
        self.sock = sock
        self.ahead = bytearray()

    def line(self) -> bytes:
        """Return one line without its end. Raise Unavailable where the stream ends first, Corrupt where it is too
        long."""
        while (end := self.ahead.find(b"\n")) < 0:
            if len(self.ahead) > MAX_HEAD:
                raise Corrupt("the daemon answered with something that is not HTTP")
            if not self._more():
                raise Unavailable("the daemon closed the connection before it answered", early=not self.ahead)
        line = bytes(self.ahead[:end]).rstrip(b"\r")
        del self.ahead[: end + 1]
        return line

    def into(self, view: memoryview) -> int:
        """Fill `view` with at least one byte, as soon as there are any; 0 at the end of the stream."""
        if self.ahead:
            data = self._kept(len(view))
            view[: len(data)] = data
            return len(data)
        try:
            return self.sock.recv_into(view)
        except OSError as error:
            raise _broken(error) from error

    def through(self, splice: Splice, most: int) -> int:
        """Move between 1 and `most` bytes through `splice`; 0 at the end of the stream."""
        if not self.ahead:
            return splice.move(most)
        data = self._kept(most)
        splice.write(data)
        return len(data)

    def _kept(self, most: int) -> bytes:
        data = bytes(self.ahead[:most])
        del self.ahead[:most]
        return data

    def _more(self) -> bool:
        try:
            data = self.sock.recv(PIECE)
        except OSError as error:
            raise _broken(error) from error
        self.ahead += data
        return bool(data)


def _broken(error: OSError) -> Unavailable:
    return Unavailable(f"the connection to the daemon broke ({error.strerror or error})", early=True)


class Incoming(io.RawIOBase):
    """The body of a response without its framing; read it through the buffered `Reply.body`."""

    def __init__(self, source: ReceivedBytes, length: int | None, chunked: bool, cancellation: Cancellation) -> None:
        self._source = source
        self._cancellation = cancellation
        self._left = 0 if chunked else length  # bytes left of the body or chunk; None: until the stream ends
        self._chunked = chunked
        self.finished = length == 0 and not chunked

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill the start of `buffer`, and return how much. Raise Unavailable where the body breaks off, Cancelled."""
        view = memoryview(buffer)
        try:
            due = self._due(len(view))
            if not due:
                return 0
            count = self._source.into(view[:due])
            self._consume(count)
        except Unavailable:
            self._cancellation.check()  # it shut the socket down
            raise
        return count

    def pour(self, sink: IO[bytes]) -> None:
        """Write all that is left to `sink`, by the kernel where both ends are nothing but descriptors."""
        target = (
            plain_descriptor(sink) if not hasattr(self._source.sock, "unwrap") else None
        )  # TLS has bytes of its own
        if target is None:
            buffer = memoryview(bytearray(LARGE))
            while count := self.readinto(buffer):
                sink.write(buffer[:count])
            return
        sink.flush()
        try:
            with Splice(self._source.sock, target) as splice:
                while due := self._due(LARGE):
                    self._consume(self._source.through(splice, due))
        except Unavailable:
            self._cancellation.check()  # it shut the socket down
            raise

    def _due(self, most: int) -> int:
        """Return how many bytes of data come next, at most `most`; 0 at the end of the body."""
        if self._chunked and not self._left and not self.finished:
            self._next_chunk()
        if self.finished:
            return 0
        return most if self._left is None else min(most, self._left)

    def _consume(self, count: int) -> None:
        if not count:
            self._cancellation.check()
            self.finished = True
            if self._left is not None:
                raise Unavailable("the daemon closed the connection in the middle of its answer")
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
