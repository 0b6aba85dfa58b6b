"""The HTTP edge: what is no HTTP at all gets the specification's error form as well."""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from lamina.distribution import faults
from lamina.errors import Internal, InvalidInput, LaminaError

_log = logging.getLogger(__name__)


class Edge(web.Server):
    """aiohttp's low-level server with our answers to broken requests."""

    def __call__(self) -> RequestHandler:
        return _Handler(self, loop=asyncio.get_running_loop(), **self._kwargs)


class _Handler(RequestHandler):
    __slots__ = ()

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
