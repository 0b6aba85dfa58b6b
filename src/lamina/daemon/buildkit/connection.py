"""A client's connection that becomes HTTP/2 in the middle: `Upgrade: h2c` on /session and /grpc.

Rule: moby/buildkit, session/manager.go, and moby, api/server/router/grpc. The answer is 101, and from then on the
connection speaks HTTP/2. On /grpc the daemon serves; on /session it is the daemon that calls.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiohttp import web

from lamina.daemon.buildkit.http2 import Accept, Http2
from lamina.daemon.http.answers import Given
from lamina.daemon.http.call import Call
from lamina.errors import InvalidInput

_HEAD = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"


class _Protocol(asyncio.Protocol):
    """Hand bytes to an HTTP/2 connection. Tell the HTTP server, which counts its connections, of the end."""

    def __init__(self, transport: asyncio.Transport, before: asyncio.BaseProtocol, accept: Accept | None) -> None:
        self._before = before
        transport.write(_HEAD)
        self.connection = Http2(transport, accept)

    def data_received(self, data: bytes) -> None:
        self.connection.feed(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.connection.lost()
        self._before.connection_lost(error)


def upgrade(call: Call, accept: Accept | None = None) -> Http2:
    """Take the request's connection over and return it as HTTP/2: as its server with `accept`, else as its client.

    Raise InvalidInput for a request that does not ask for it, ConnectionResetError when the client is gone.
    """
    protocol = call.request.headers.get("Upgrade", "")
    if not protocol:
        raise InvalidInput("no upgrade proto in request")
    if protocol != "h2c":
        raise InvalidInput(f"protocol {protocol} not supported")
    transport = call.request.transport
    if transport is None:
        raise ConnectionResetError("the client went away")
    taken = _Protocol(transport, call.request.protocol, accept)
    transport.set_protocol(taken)
    with suppress(RuntimeError):  # the server may have stopped reading behind the request
        transport.resume_reading()
    return taken.connection


async def until_closed(connection: Http2) -> web.StreamResponse:
    """Wait until the connection ends, and close it when the request is cancelled."""
    try:
        await connection.closed.wait()
    finally:
        connection.close()
    return Given()
