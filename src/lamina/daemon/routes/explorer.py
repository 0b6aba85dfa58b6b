"""`/images/{name}/explorer/…`: looking into images. These endpoints are lamina's own; Docker's API has none of it."""

from __future__ import annotations

from functools import partial

import msgspec
from aiohttp import web

from lamina.daemon.http.admission import Kind
from lamina.daemon.http.call import Call, reply
from lamina.daemon.http.routing import Route
from lamina.errors import InvalidInput
from lamina.explorer.explorer import Explorer


class ExplorerRoutes:
    """The endpoints that look into images."""

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/images/{name*}/explorer/report", self.report, Kind.WORK),
            Route("GET", "/images/{name*}/explorer/files", self.files),
            Route("GET", "/images/{name*}/explorer/blame", self.blame, Kind.WORK),
            Route("GET", "/images/{name*}/explorer/compare", self.compare, Kind.WORK),
        ]

    async def report(self, call: Call) -> web.StreamResponse:
        report = await call.run_cancellable(self._explorer.report, call.places["name"])
        return reply(msgspec.to_builtins(report))

    async def files(self, call: Call) -> web.StreamResponse:
        path, layer = call.text("path") or "/", call.number("layer")
        files = await call.run(partial(self._explorer.files, call.places["name"], path, layer=layer))
        return reply(msgspec.to_builtins(files))

    async def blame(self, call: Call) -> web.StreamResponse:
        return reply(
            msgspec.to_builtins(await call.run(self._explorer.blame, call.places["name"], _needed(call, "path")))
        )

    async def compare(self, call: Call) -> web.StreamResponse:
        other = _needed(call, "with")
        return reply(
            msgspec.to_builtins(await call.run_cancellable(self._explorer.compare, call.places["name"], other))
        )


def _needed(call: Call, name: str) -> str:
    text = call.text(name)
    if not text:
        raise InvalidInput(f"the parameter {name} is missing", parameter=name)
    return text
