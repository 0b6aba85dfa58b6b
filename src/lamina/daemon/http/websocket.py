"""A WebSocket joined with a process's streams, for clients that cannot take a connection over (`attach/ws`)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from aiohttp import WSMsgType, web

from lamina.daemon.http.call import Call
from lamina.daemon.http.hijack import Translate
from lamina.errors import InvalidInput

_CHUNK = 1 << 16
_LONGEST = 1 << 20  # bytes of one message


def check_websocket(call: Call) -> None:
    """Raise InvalidInput unless the request opens a WebSocket."""
    if not web.WebSocketResponse().can_prepare(call.request).ok:
        raise InvalidInput("this endpoint speaks WebSocket only: the request does not ask for an upgrade to it")


async def converse(
    call: Call,
    inner: socket.socket,
    *,
    binary: bool,
    translate: Translate,
    before: AsyncIterator[bytes] | None = None,
    settled: Callable[[], Awaitable[None]] | None = None,
) -> web.StreamResponse:
    """Answer with a WebSocket that passes messages to `inner`, and its output back, until the output ends.

    `before` is sent first. `translate` turns each piece of output into the bytes for the client, which are sent as
    messages of text unless `binary`. A client that closes the WebSocket is detached. `settled` is awaited after the
    output has ended and before the client learns of it.
    """
    websocket = web.WebSocketResponse(max_msg_size=_LONGEST, compress=False)
    with inner:
        await websocket.prepare(call.request)
        inner.setblocking(False)
        receiving = asyncio.ensure_future(_receive(websocket, inner))
        sending = asyncio.ensure_future(_send(websocket, inner, binary, translate, before))
        try:
            await asyncio.wait((receiving, sending), return_when=asyncio.FIRST_COMPLETED)
            if settled is not None and sending.done():
                await settled()
        finally:
            for task in (receiving, sending):
                task.cancel()
            await asyncio.gather(receiving, sending, return_exceptions=True)
        await websocket.close()
    return websocket


async def _receive(websocket: web.WebSocketResponse, inner: socket.socket) -> None:
    """Pass on what the client sends, until it closes the WebSocket."""
    loop = asyncio.get_running_loop()
    listening = True
    async for message in websocket:
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY) or not listening:
            continue
        data = message.data.encode() if message.type is WSMsgType.TEXT else message.data
        try:
            await loop.sock_sendall(inner, data)
        except OSError:
            listening = False  # the process stopped reading, and its output may go on


async def _send(
    websocket: web.WebSocketResponse,
    inner: socket.socket,
    binary: bool,
    translate: Translate,
    before: AsyncIterator[bytes] | None,
) -> None:
    loop = asyncio.get_running_loop()

    async def send(data: bytes) -> None:
        if binary:
            await websocket.send_bytes(data)
        else:
            await websocket.send_str(data.decode(errors="replace"))

    with suppress(ConnectionError):  # the client is gone
        if before is not None:
            async for piece in before:
                await send(translate(piece))
        while data := await loop.sock_recv(inner, _CHUNK):
            if output := translate(data):
                await send(output)
