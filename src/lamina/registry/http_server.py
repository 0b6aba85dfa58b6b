"""The HTTP edge: it answers broken requests in the specification's error form, and cuts off slow clients."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from lamina.errors import Internal, InvalidInput, LaminaError
from lamina.registry import faults

_log = logging.getLogger(__name__)
_IDLE = 75.0  # seconds between two requests on one connection
_LINGER = 2.0  # seconds in which the rest of a refused body is read, so that the client sees the answer
TIMEOUT = "TIMEOUT"
Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Edge(web.Server):
    """aiohttp's low-level server with our answers to broken requests, and with limits for slow clients.

    The head of a request must be there within `head_timeout` seconds. A client that takes no byte of an answer for
    `stall_timeout` seconds is cut off. Bodies go as they came, even with a Content-Encoding: digests are over those.
    """

    def __init__(self, handler: Handle, head_timeout: float, stall_timeout: float) -> None:
        super().__init__(
            handler, access_log=None, keepalive_timeout=_IDLE, lingering_time=_LINGER, auto_decompress=False
        )
        self._head_timeout = head_timeout
        self._stall_timeout = stall_timeout

    def __call__(self) -> RequestHandler:
        handler = _Handler(self, loop=asyncio.get_running_loop(), **self._kwargs)
        handler.limit(self._head_timeout, self._stall_timeout)
        return handler


class _Handler(RequestHandler):
    __slots__ = ("_head_timeout", "_heard", "_stall_timeout", "_timer")

    def limit(self, head_timeout: float, stall_timeout: float) -> None:
        """Set the times that a client may take, in seconds, before the connection is made."""
        self._head_timeout = head_timeout
        self._stall_timeout = stall_timeout
        self._heard = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("socket")
        if peer is not None:  # bounds answers that nobody takes (tcp(7))
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self._stall_timeout * 1000))
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._has_request():
            self._unwatch()
        else:
            self._heard = True
            if self._timer is None:
                self._watch()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        error: LaminaError = InvalidInput("This is not a request in HTTP", code="BAD_REQUEST", status=status)
        if status >= 500:
            _log.error("a request failed", exc_info=exc)
            error = Internal("The registry failed; its log tells more")
        answer = web.Response(status=status, body=faults.body_of(error), content_type="application/json")
        answer.force_close()
        return answer

    def _has_request(self) -> bool:
        return bool(self._messages) or self._current_request is not None

    def _watch(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._head_timeout, self._give_up)

    def _unwatch(self) -> None:
        self._heard = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if self._has_request() or self.transport is None:
            return
        if self._heard:
            body = faults.body_of(too_slow())
            head = "HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nConnection: close\r\n"
            self.transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self.force_close()


def too_slow() -> LaminaError:
    """Return the error for a client that did not send its request in time."""
    return InvalidInput("The request did not come in time", code=TIMEOUT, status=408)
