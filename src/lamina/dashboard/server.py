"""The dashboard's server: a loopback port that serves the page and passes its requests on to the daemon."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Protocol, cast

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware, StrOrURL

from lamina.dashboard.access import Access
from lamina.dashboard.gateway import Gateway
from lamina.dashboard.pages import SAFETY, Pages
from lamina.errors import Conflict, InvalidInput, LaminaError, Unavailable, outcome

_LOG = logging.getLogger("lamina.dashboard")
_NO_REQUESTS = logging.getLogger("lamina.dashboard.requests")  # their paths hold tokens
_NO_REQUESTS.disabled = True
_BACKLOG = 128
_FIRST = "/containers/json?all=1"  # what the first page asks the daemon for
_REFUSED = """<!doctype html><html lang="en"><meta charset="utf-8"><title>lamina</title>
<h1>Not signed in</h1><p>{}. Run <code>lamina dashboard</code> for a link.</p></html>
"""


class Dashboard:
    """A bound port. `link` opens the dashboard once; `serve` serves it.

    dashboard = Dashboard("127.0.0.1:0")
    async with dashboard.serve("/run/lamina/lamina.sock"):
        print(dashboard.link())
    """

    def __init__(self, address: str, *, read_only: bool = False) -> None:
        """Bind `address`, which must be of the loopback. Raise InvalidInput, Conflict (in use) or Unavailable."""
        self._socket = _bind(address)
        self.access = Access(self._socket.getsockname()[1], read_only=read_only)

    def link(self) -> str:
        """Return a new link, whose token works once. Thread-safe."""
        return self.access.link()

    @property
    def address(self) -> str:
        """Return the address and the port."""
        host, port = self._socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def close(self) -> None:
        """Close the port."""
        self._socket.close()

    @asynccontextmanager
    async def serve(self, daemon: str, enter: Callable[[], Place] | None = None) -> AsyncIterator[None]:
        """Serve for the block, with the daemon at the Unix socket `daemon`.

        `enter` returns a place for each connection; one for which it raises Unavailable is refused.
        """
        gateway = Gateway(daemon)
        runner = web.AppRunner(_application(self.access, gateway), handler_cancellation=True, shutdown_timeout=1.0)
        door: asyncio.Server | None = None
        try:
            await runner.setup()
            loop = asyncio.get_running_loop()
            server = cast(web.Server, runner.server)
            door = await loop.create_server(
                lambda: _Connection(server, loop, enter), sock=self._socket, backlog=_BACKLOG
            )
            _LOG.info("dashboard on %s", self.address)
            yield
        finally:
            if door is not None:
                door.close()
            await runner.cleanup()
            await gateway.close()


class Place(Protocol):
    """A place of one connection among those that may be open."""

    def release(self) -> None:
        """Give the place back."""
        ...


class _Connection(web.RequestHandler):
    """A connection of a browser, which has a place as long as it is open."""

    __slots__ = ("_enter", "_is_refused", "_place")

    def __init__(self, server: web.Server, loop: asyncio.AbstractEventLoop, enter: Callable[[], Place] | None) -> None:
        super().__init__(server, loop=loop, access_log=_NO_REQUESTS)
        self._enter = enter
        self._place: Place | None = None
        self._is_refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        try:
            self._place = self._enter() if self._enter else None
        except Unavailable:
            self._is_refused = True
            cast(asyncio.Transport, transport).abort()
            return
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._is_refused:
            return
        super().connection_lost(exc)
        if self._place is not None:
            self._place.release()


def _bind(text: str) -> socket.socket:
    name, _, port = text.rpartition(":")
    try:
        address = ip_address("127.0.0.1" if name in ("", "localhost") else name.strip("[]"))
        number = int(port)
    except ValueError:
        raise InvalidInput(f"{text!r} is no address and port", advice="Write 127.0.0.1:PORT") from None
    if not address.is_loopback:
        raise InvalidInput(
            f"the dashboard listens on this machine only, not on {address}",
            advice="From elsewhere reach it over ssh: ssh -L PORT:127.0.0.1:PORT MACHINE",
        )
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        return socket.create_server((str(address), number), family=family, backlog=_BACKLOG)
    except OverflowError:
        raise InvalidInput(f"{number} is no port") from None
    except OSError as error:
        kind = Conflict if error.errno == errno.EADDRINUSE else Unavailable
        raise kind(f"cannot listen on {text}: {error.strerror}") from error


def _application(access: Access, gateway: Gateway) -> web.Application:
    pages = Pages()

    async def enter(request: web.Request) -> web.StreamResponse:
        session = access.enter(request.query.get("token", ""))
        # The page itself, not a redirect: a browser that was sent here by another site's link would leave the cookie
        # out of a request that a redirect makes (SameSite=Strict).
        response = _page_response()
        response.set_cookie(access.cookie, session, httponly=True, samesite="Strict", path="/")
        return await send_page(request, response)

    async def page(request: web.Request) -> web.StreamResponse:
        return await send_page(request, _page_response())

    async def send_page(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        """Send the page, with the answer that its first list needs. The browser loads files while that is made."""
        await response.prepare(request)
        await response.write(pages.start)
        since = f"{time.time():.6f}"  # events from here on may not be in the answer
        answer = await gateway.small_answer(_FIRST)
        await response.write(_first_answers(access.read_only, since, answer) + pages.end)
        await response.write_eof()
        return response

    async def static(request: web.Request) -> web.StreamResponse:
        return pages.answer(request, request.match_info["version"], request.match_info["path"])

    async def api(request: web.Request) -> web.StreamResponse:
        return await gateway.pass_on(request, _target(request))

    async def stream(request: web.Request) -> web.StreamResponse:
        access.check_origin(request.headers)
        return await gateway.stream(request, _target(request))

    async def join(request: web.Request) -> web.StreamResponse:
        access.check_origin(request.headers)
        access.check_change()
        return await gateway.join(request, _target(request))

    app = web.Application(middlewares=[_checked(access)])
    app.router.add_get("/enter", enter)
    app.router.add_get("/", page)
    app.router.add_get("/static/{version}/{path:.*}", static)
    app.router.add_route("*", r"/api/{path:[\s\S]*}", api)
    app.router.add_get(r"/stream/{path:[\s\S]*}", stream)
    app.router.add_get(r"/socket/{path:[\s\S]*}", join)
    return app


def _page_response() -> web.StreamResponse:
    return web.StreamResponse(
        headers={**SAFETY, "Cache-Control": "no-store", "Content-Type": "text/html; charset=utf-8"}
    )


def _first_answers(read_only: bool, since: str, answer: bytes | None) -> bytes:
    """Return what comes with the page as JSON, without the character that could end the element around it."""
    head = {"readOnly": read_only, "since": since}
    answers = b"" if answer is None else json.dumps(_FIRST).encode() + b": " + answer
    return (json.dumps(head).encode()[:-1] + b', "answers": {' + answers + b"}}").replace(b"<", b"\\u003c")


def _target(request: web.Request) -> StrOrURL:
    """Return what the request asks the daemon for: its path and query without the first part, as they were sent."""
    sent = request.rel_url
    path = "/" + sent.raw_path.split("/", 2)[2]
    return sent.build(scheme="http", host="daemon", path=path, query_string=sent.raw_query_string, encoded=True)


def _checked(access: Access) -> Middleware:
    """Return the checks that every request passes. Errors become answers, as the API has them, or a page."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            access.check_host(request.headers)
            if request.path != "/enter":
                access.check_session(request.cookies)
            if request.path not in ("/", "/enter"):  # another site may link to the page
                access.check_request(request.method, request.headers)
            return await handler(request)
        except LaminaError as error:
            status = outcome(error).http_status
            if request.path in ("/", "/enter"):
                text = _REFUSED.format(error.message)
                return web.Response(text=text, content_type="text/html", status=status, headers=SAFETY)
            body = json.dumps({"message": str(error)})
            return web.Response(text=body, content_type="application/json", status=status, headers=SAFETY)

    return check
