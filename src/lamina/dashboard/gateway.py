"""The way from the browser to the daemon's API: requests, streams as WebSockets, and WebSockets of the API.

Nothing here knows what a request means. The daemon gets a request of a program, without the browser's headers, and
the browser gets an answer that it will never take for a page.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import ClientError, ClientSession, ClientTimeout, ClientWebSocketResponse, UnixConnector, WSMsgType, web
from aiohttp.typedefs import StrOrURL

from lamina.errors import Unavailable

_TO_DAEMON = ("Accept", "Content-Type", "Content-Length", "X-Lamina-Context", "X-Registry-Auth", "X-Registry-Config")
_TO_BROWSER = ("Content-Type", "Content-Length", "X-Docker-Container-Path-Stat")
_NO_PAGE = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_LONGEST = 1 << 20  # bytes of one message from the browser
_SMALL = 64 * 1024  # bytes of an answer that comes with the page
_SOON = ClientTimeout(total=0.5)
_ENDED, _FAILED = 1000, 1011  # how a WebSocket is closed (RFC 6455, section 7.4.1)
_REASON = 120  # bytes of the sentence that says why; 123 fit


class Gateway:
    """A client of the daemon at a Unix socket. Close it when the last request has ended."""

    def __init__(self, socket: str) -> None:
        self._session = ClientSession(
            connector=UnixConnector(socket, limit=0),
            timeout=ClientTimeout(total=None),
            auto_decompress=False,
            skip_auto_headers=("Accept-Encoding", "User-Agent"),
            cookie_jar=None,
        )

    async def close(self) -> None:
        await self._session.close()

    async def pass_on(self, request: web.Request, target: StrOrURL) -> web.StreamResponse:
        """Send a request to the daemon, and its answer to the browser as it comes. Raise Unavailable."""
        headers = {name: request.headers[name] for name in _TO_DAEMON if name in request.headers}
        body = request.content if request.can_read_body else None
        try:
            async with self._session.request(
                request.method, target, headers=headers, data=body, allow_redirects=False
            ) as answer:
                passed_on = {name: answer.headers[name] for name in _TO_BROWSER if name in answer.headers}
                response = web.StreamResponse(status=answer.status, headers={**passed_on, **_NO_PAGE})
                await response.prepare(request)
                async for piece in answer.content.iter_any():
                    await response.write(piece)
                await response.write_eof()
                return response
        except ClientError as error:
            raise Unavailable(f"the daemon does not answer: {error}") from error

    async def small_answer(self, target: str) -> bytes | None:
        """Return the daemon's answer to a GET. None for an error, and for what is long or late."""
        try:
            async with self._session.get(f"http://daemon{target}", timeout=_SOON) as answer:
                size = answer.content_length
                return await answer.read() if answer.status == 200 and size is not None and size <= _SMALL else None
        except (ClientError, TimeoutError):
            return None

    async def stream(self, request: web.Request, target: StrOrURL) -> web.WebSocketResponse:
        """Answer with a WebSocket that brings the daemon's answer to a GET, piece by piece.

        A browser opens six connections to a server, for all its windows, and an answer without end holds one of them.
        WebSockets are not counted.
        """
        socket = await _accepted(request)
        receiving = asyncio.ensure_future(_until_closed(socket))
        sending = asyncio.ensure_future(self._send_answer(socket, target))
        await _first_of(receiving, sending)
        return socket

    async def _send_answer(self, socket: web.WebSocketResponse, target: StrOrURL) -> None:
        try:
            async with self._session.get(target) as answer:
                if answer.status >= 400:
                    await _close(socket, await answer.text())
                    return
                async for piece in answer.content.iter_any():
                    await socket.send_bytes(piece)
            await socket.close(code=_ENDED)
        except ConnectionError:
            return  # the browser is gone
        except ClientError as error:
            await _close(socket, f"the daemon does not answer: {error}")

    async def join(self, request: web.Request, target: StrOrURL) -> web.WebSocketResponse:
        """Answer with a WebSocket that is joined with one of the daemon's."""
        socket = await _accepted(request)
        try:
            async with self._session.ws_connect(target, max_msg_size=0) as inner:
                receiving = asyncio.ensure_future(_copy(socket, inner))
                sending = asyncio.ensure_future(_copy(inner, socket))
                await _first_of(receiving, sending)
            await socket.close(code=_ENDED)
        except ClientError as error:
            await _close(socket, f"the daemon refuses: {error}")
        return socket


async def _accepted(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(max_msg_size=_LONGEST, compress=False)
    await socket.prepare(request)
    return socket


async def _first_of(*tasks: asyncio.Task[None]) -> None:
    """Wait for one of the tasks and cancel the others. Raise the error of the one that ended."""
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in ended:
        task.result()


async def _until_closed(socket: web.WebSocketResponse) -> None:
    async for _ in socket:
        pass


async def _copy(
    source: web.WebSocketResponse | ClientWebSocketResponse, target: web.WebSocketResponse | ClientWebSocketResponse
) -> None:
    with suppress(ConnectionError):  # the other side is gone
        async for message in _messages(source):
            if isinstance(message, str):
                await target.send_str(message)
            else:
                await target.send_bytes(message)


async def _messages(source: web.WebSocketResponse | ClientWebSocketResponse) -> AsyncIterator[str | bytes]:
    async for message in source:
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            yield message.data


async def _close(socket: web.WebSocketResponse, reason: str) -> None:
    await socket.close(code=_FAILED, message=reason.encode()[:_REASON].decode(errors="ignore").encode())
