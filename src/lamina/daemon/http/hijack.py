"""Connections taken over: after the answer's head both sides speak raw bytes (Docker's attach and exec).

A client that sends `Upgrade: tcp` gets 101, older ones get 200. Then bytes flow both ways, and each direction ends on
its own: a client that has sent everything still gets the rest. Clients must send nothing before they have the head.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import termios
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from fcntl import ioctl
from typing import cast

from aiohttp import web

from lamina.daemon.http.answers import Given, message_of
from lamina.daemon.http.call import Call
from lamina.daemon.http.connection import GLANCE, Handler, has_left, is_local
from lamina.errors import LaminaError
from lamina.formats.frames import STDOUT, frame

Translate = Callable[[bytes], bytes]

RAW = "application/vnd.docker.raw-stream"
FRAMED = "application/vnd.docker.multiplexed-stream"
_CHUNK = 1 << 16
_BREATH = 0.02  # seconds that a client has to read the head alone, where nothing tells that it has
_GRACE = 1.0  # seconds that it has where something does
_POLL = 0.001  # seconds


class _Protocol(asyncio.StreamReaderProtocol):
    """A plain stream. It tells the HTTP server, which counts its connections, when the connection ends."""

    def __init__(self, reader: asyncio.StreamReader, before: asyncio.BaseProtocol) -> None:
        super().__init__(reader)
        self._before = before

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._before.connection_lost(exc)


async def hijack(
    call: Call, inner: socket.socket, *, framed: bool, before: AsyncIterator[bytes] | None = None
) -> web.StreamResponse:
    """Join the client's connection with `inner`, and close both when the output has ended. `before` is sent first."""

    async def opened() -> socket.socket:
        return inner

    with inner:
        return await hijack_first(call, opened, framed=framed, before=before)


async def hijack_first(
    call: Call,
    opener: Callable[[], Awaitable[socket.socket]],
    *,
    framed: bool,
    before: AsyncIterator[bytes] | None = None,
    settled: Callable[[], Awaitable[None]] | None = None,
    translate: Translate = bytes,
) -> web.StreamResponse:
    """Take the connection over, then open its other end with `opener`. An error of `opener` is written to the stream.

    `translate` turns each piece of output into the bytes for the client. `settled` is awaited after the output has
    ended and before the client learns of it. Some clients (docker-py) read the head through a buffer and lose the bytes
    behind it, so output must come after they have read it.
    """
    reader, writer = _take_over(call)
    try:
        writer.write(_head(call, framed))
        await writer.drain()
        begun = time.monotonic()
        if before is not None:
            await _let_read(writer, begun)
            async for piece in before:
                writer.write(piece)
                await writer.drain()
        with await opener() as inner:
            inner.setblocking(False)
            if before is None:
                await _let_read(writer, begun)
            await _join(reader, writer, inner, settled, translate)
    except LaminaError as error:
        message = f"{message_of(error)}\r\n".encode()
        writer.write(frame(STDOUT, message) if framed else message)
    finally:
        with suppress(OSError):  # the client closed it first
            writer.close()
    return Given()


def _head(call: Call, framed: bool) -> bytes:
    kind = FRAMED if framed and call.version >= (1, 42) else RAW
    upgrade = "upgrade" in call.request.headers.get("Connection", "").lower() and "Upgrade" in call.request.headers
    first = "HTTP/1.1 101 UPGRADED" if upgrade else "HTTP/1.1 200 OK"
    more = "Connection: Upgrade\r\nUpgrade: tcp\r\n" if upgrade else ""
    return f"{first}\r\nContent-Type: {kind}\r\n{more}\r\n".encode()


def _take_over(call: Call) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    transport = cast(asyncio.Transport, call.request.transport)
    if transport is None:
        raise ConnectionResetError("the client went away")
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    protocol = _Protocol(reader, call.request.protocol)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    with suppress(RuntimeError):  # the server may have stopped reading behind the request
        transport.resume_reading()
    if isinstance(call.request.protocol, Handler) and call.request.protocol.half_closed:
        reader.feed_eof()
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def _let_read(writer: asyncio.StreamWriter, begun: float) -> None:
    """Wait until the client has read the head, which it was sent at `begun`.

    SIOCOUTQ, which is the same number as TIOCOUTQ, asks how much the other end of a Unix socket has not read yet
    (net/unix/af_unix.c). TCP does not tell, so a client has a moment there.
    """
    client = cast(asyncio.Transport, writer.transport)
    if not is_local(client):
        await asyncio.sleep(begun + _BREATH - time.monotonic())
        return
    unread = bytearray(struct.calcsize("i"))
    while not client.is_closing() and time.monotonic() < begun + _GRACE:
        ioctl(client.get_extra_info("socket").fileno(), termios.TIOCOUTQ, unread)
        if not any(unread):
            return
        await asyncio.sleep(_POLL)


async def _join(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    inner: socket.socket,
    settled: Callable[[], Awaitable[None]] | None,
    translate: Translate,
) -> None:
    """Pass bytes both ways until the output ends or the client is gone."""
    loop = asyncio.get_running_loop()
    sending = asyncio.ensure_future(_send(reader, cast(asyncio.Transport, writer.transport), inner, loop))
    try:
        while data := await loop.sock_recv(inner, _CHUNK):
            writer.write(translate(data))
            await writer.drain()
        if settled is not None:
            await settled()
        if writer.can_write_eof():
            writer.write_eof()
        await writer.drain()
    except OSError:
        return  # the client is gone, and nobody reads the output
    finally:
        sending.cancel()
        with suppress(asyncio.CancelledError):
            await sending


async def _send(
    reader: asyncio.StreamReader, client: asyncio.Transport, inner: socket.socket, loop: asyncio.AbstractEventLoop
) -> None:
    """Hand on what the client says. One that has said everything may still listen; when it leaves, which nothing tells
    as long as there is no output, the request ends."""
    with suppress(OSError):  # the process stopped reading
        while data := await reader.read(_CHUNK):
            await loop.sock_sendall(inner, data)
        inner.shutdown(socket.SHUT_WR)
    while not client.is_closing():
        if has_left(client):
            client.abort()
        await asyncio.sleep(GLANCE)
