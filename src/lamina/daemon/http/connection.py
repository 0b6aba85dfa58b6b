"""One client's connection: aiohttp's, which also answers clients that close their sending side early."""

from __future__ import annotations

import asyncio
import logging
import re
import select
import socket
from collections.abc import Callable
from typing import Protocol, cast

from aiohttp import web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_request import BaseRequest

from lamina.daemon.http.admission import Gate, Slot
from lamina.daemon.http.answers import error_response, raw_refusal
from lamina.errors import InvalidInput, Unavailable

GLANCE = 0.5  # seconds between looks whether a client that has said everything is still there
_PREFACE = b"PRI "  # the method of HTTP/2's preface, which is none of HTTP/1.1's
_GONE = select.POLLHUP | select.POLLERR
_KEEPALIVE = 15  # seconds between probes of a silent TCP client, as Go's servers have it
_RAW = re.compile(r""":?\s*\bb["'].*""", re.DOTALL)
_SILENT = logging.getLogger("lamina.daemon.access")
_SILENT.disabled = True


class Handler(web.RequestHandler):
    """Parses requests and has them answered one after another.

    Like dockerd it ignores `Content-Encoding`: the bytes of an archive show how it is compressed.
    """

    __slots__ = ("_malformed", "_slot", "half_closed", "listened")

    half_closed: bool
    listened: bool

    def __init__(self, server: web.Server, loop: asyncio.AbstractEventLoop, *, read_buffer: int, head: int) -> None:
        """`read_buffer` is how many bytes of a body are received ahead; `head` is how long a line of a head may be."""
        super().__init__(
            server,
            loop=loop,
            access_log=_SILENT,
            read_bufsize=read_buffer,
            max_line_size=head,
            max_field_size=head,
            auto_decompress=False,
        )
        self.half_closed = False
        self.listened = False  # whether the present answer goes on while the client listens
        self._malformed = False
        self._slot = Slot()

    def enter(self, gate: Gate) -> None:
        """Count this connection until it is lost. Raise Unavailable when there are too many."""
        self._slot = gate.enter()

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        slot, self._slot = self._slot, Slot()
        slot.release()

    def handle_error(
        self, request: BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer a malformed request with a 400 in the form of every other error, without quoting its bytes."""
        answer = super().handle_error(request, status, exc, message)
        if status == 400:
            reason = " ".join(_RAW.sub("", message or "").split()).rstrip(".")
            answer = error_response(InvalidInput(f"malformed request: {reason}"))
            answer.force_close()
        return answer

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._messages and not isinstance(self._messages[-1][0], RawRequestMessage):
            self._malformed = True
        current = self._current_request
        if current is not None and self._messages and not current.content.is_eof():
            # The parser found an error in the body that is being received: its reader must get it too.
            current.content.set_exception(web.RequestPayloadError("its chunks are malformed"))
            current.content.feed_eof()

    def finish(self) -> bool:
        """Note that the client sends no more. Return True if whole requests wait for their answers."""
        expects_answer = self._messages or (self._request_count and not self._idle)
        self.half_closed = bool(expects_answer) and self._has_whole_body()
        return self.half_closed

    def close_behind(self) -> None:
        """Close the connection after the last answer. Do nothing while requests wait for their turn."""
        if self._idle:
            self.force_close()
        elif not self._messages:
            self.close()

    @property
    def _idle(self) -> bool:
        return self._waiter is not None and not self._messages

    def _has_whole_body(self) -> bool:
        if self._malformed:
            return True  # the answer says so
        try:
            if self._parser is not None:
                self._parser.feed_eof()
        except HttpProcessingError:
            return False
        return True


class Speaker(Protocol):
    """What understands a connection that does not speak HTTP/1.1."""

    def feed(self, data: bytes, /) -> None:
        """Take bytes of the client."""
        ...

    def lost(self) -> None:
        """Note that the connection has ended."""
        ...


class Connection(asyncio.Protocol):
    """A connection whose client may stop sending and still read, as `printf 'GET …' | socat - UNIX:…` does.

    Whole requests are answered, and then the connection is closed. Half a request means that the client went away.

    After the client's end of sending, the event loop reads no more and cannot see it leave, so we poll the socket. TCP
    does not show the difference between both ends; there, as in dockerd, the end of sending ends endless answers.

    A client that begins with HTTP/2's preface is handed to what `http2` makes. Go's servers call that prior knowledge
    (RFC 9113, section 3.3). No web page can speak this way: browsers have HTTP/2 over TLS only, by agreement.
    """

    def __init__(
        self,
        handler: Handler,
        loop: asyncio.AbstractEventLoop,
        gate: Gate,
        http2: Callable[[asyncio.Transport], Speaker],
    ) -> None:
        self._handler = handler
        self._loop = loop
        self._gate = gate
        self._http2 = http2
        self._speaker: Speaker | None = None
        self._has_begun = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        try:
            self._handler.enter(self._gate)
        except Unavailable as error:
            transport.write(raw_refusal(error))
            transport.close()
            return
        self._transport = transport
        _probe(transport)
        self._handler.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._transport = None
            if self._speaker is not None:
                self._speaker.lost()
            self._handler.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._transport is not None:
            self._handler.pause_writing()

    def resume_writing(self) -> None:
        if self._transport is not None:
            self._handler.resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            return
        if not self._has_begun and data.startswith(_PREFACE):
            self._speaker = self._http2(self._transport)
        self._has_begun = True
        if self._speaker is not None:
            self._speaker.feed(data)
        else:
            self._handler.data_received(data)

    def eof_received(self) -> bool:
        """Return True to keep the connection for answers that are due. TLS cannot be half closed."""
        if self._speaker is not None or self._transport is None:
            return False
        if self._transport.get_extra_info("sslcontext") or not self._handler.finish():
            return False
        self._look()
        return True

    def _look(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if has_left(transport) or (self._handler.listened and not is_local(transport)):
            transport.abort()
        else:
            self._handler.close_behind()
            self._loop.call_later(GLANCE, self._look)


def has_left(transport: asyncio.Transport) -> bool:
    """Return whether a client that has said everything has closed its connection altogether. Only Unix sockets tell
    that before something is written."""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), 0)
    return any(event & _GONE for _, event in poll.poll(0))


def is_local(transport: asyncio.Transport) -> bool:
    """Return whether a client is connected by a Unix socket."""
    return bool(transport.get_extra_info("socket").family == socket.AF_UNIX)


def _probe(transport: asyncio.Transport) -> None:
    """Have the kernel find out when a silent TCP client is no more."""
    if not is_local(transport):
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE)
