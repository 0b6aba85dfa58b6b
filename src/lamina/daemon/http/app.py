"""The application. Every request passes `answer`, which finds its route and turns errors into answers."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from lamina import __version__
from lamina.daemon.http.admission import Gates, Kind
from lamina.daemon.http.answers import Given, error_response
from lamina.daemon.http.call import Call
from lamina.daemon.http.connection import Handler
from lamina.daemon.http.decoding import check_query
from lamina.daemon.http.routing import NEWEST, Route, Router, dotted, split_version
from lamina.errors import InvalidInput
from lamina.formats.http import BrowserGuard, hide_userinfo

_LOG = logging.getLogger("lamina.daemon")
_WORKERS = 128  # threads for queries, none of which waits for anybody outside
_HEADERS = {
    "Api-Version": dotted(NEWEST),
    "Docker-Experimental": "true",
    "Ostype": "linux",
    "Server": f"Lamina/{__version__} (linux)",
}
_NO_BROWSERS = BrowserGuard()


class Api:
    """All routes, limited by `gates` and protected by `guard`. `close` ends the worker threads."""

    def __init__(self, routes: Iterable[Route], gates: Gates, guard: BrowserGuard = _NO_BROWSERS) -> None:
        self._router = Router(routes)
        self._gates = gates
        self._guard = guard
        self._workers = ThreadPoolExecutor(_WORKERS, "lamina-api")

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", r"/{path:[\s\S]*}", self.answer)
        app.on_response_prepare.append(_add_headers)
        return app

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request. If its client goes away, this task is cancelled."""
        try:
            _log(request)
            self._keep_pages_out(request)
            version, path = split_version(_path(request))
            if "\0" in path or any("\0" in value for value in request.query.values()):
                raise InvalidInput("the request's address holds a NUL character")
            match = self._router.match(request.method, path)
            check_query(request.rel_url.raw_query_string)
            with self._gates.enter(match.kind) as slot:
                if match.kind in (Kind.STREAM, Kind.PROCESS) and isinstance(request.protocol, Handler):
                    request.protocol.listened = True
                return await match.handler(Call(request, match.places, version, self._workers, slot))
        except asyncio.CancelledError:
            raise
        except web.HTTPException:
            raise
        except Exception as error:  # the one table turns every error into an answer
            if request.transport is None or request.transport.is_closing():
                return Given()  # the client is gone
            if isinstance(error, web.RequestPayloadError | HttpProcessingError):
                error = InvalidInput(f"the request's body cannot be read: {error}")
            _log(request, f": {error}")
            return error_response(error)

    def _keep_pages_out(self, request: web.Request) -> None:
        """Raise Forbidden for requests of web pages. TLS clients have checked our name, and a socket has none."""
        self._guard.check_page(request.headers)
        connection = request.get_extra_info("socket")
        if connection is not None and connection.family != socket.AF_UNIX and not request.secure:
            self._guard.check_host(request.headers)

    def close(self) -> None:
        self._workers.shutdown(wait=False, cancel_futures=True)


def _log(request: web.Request, outcome: str = "") -> None:
    """Log a request for `--debug`, without its query, which may hold build arguments and passwords."""
    if _LOG.isEnabledFor(logging.DEBUG):
        _LOG.debug("%s %s%s", request.method, hide_userinfo(request.path), hide_userinfo(outcome))


def _path(request: web.Request) -> str:
    """Return the path as it was sent, percent-encoded: image names may hold encoded slashes. Raise InvalidInput."""
    path = request.rel_url.raw_path
    try:
        path.encode("ascii")
    except UnicodeEncodeError:
        raise InvalidInput("the path of the request is not percent-encoded") from None
    return path


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
