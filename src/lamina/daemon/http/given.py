"""An answer that the HTTP server has nothing to do for: it was given already, or nobody is there to take it."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest


class Given(web.StreamResponse):
    """Writes nothing; the server closes the connection after it."""

    def __init__(self) -> None:
        super().__init__()
        self.force_close()

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: Any = b"") -> None:
        return None
