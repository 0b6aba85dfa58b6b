"""`/images/{name}/explorer/…`: looking into images. These endpoints are lamina's own; Docker's API has none of it."""

from __future__ import annotations

from functools import partial
from typing import IO, cast

import msgspec
from aiohttp import web

from lamina.api.explorer import Search
from lamina.cancellation import Cancellation
from lamina.daemon.http.admission import Kind
from lamina.daemon.http.call import Call, reply
from lamina.daemon.http.direct import bytes_response
from lamina.daemon.http.routing import Route
from lamina.daemon.http.stream import Sink
from lamina.errors import InvalidInput
from lamina.explorer.explorer import Explorer


class ExplorerRoutes:
    """The endpoints that look into images."""

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/images/{name*}/explorer/layers", self.layers),
            Route("GET", "/images/{name*}/explorer/report", self.report, Kind.WORK),
            Route("GET", "/images/{name*}/explorer/files", self.files),
            Route("GET", "/images/{name*}/explorer/find", self.find, Kind.WORK),
            Route("GET", "/images/{name*}/explorer/file", self.file, Kind.WORK),
            Route("GET", "/images/{name*}/explorer/blame", self.blame, Kind.WORK),
            Route("GET", "/images/{name*}/explorer/compare", self.compare, Kind.WORK),
        ]

    async def layers(self, call: Call) -> web.StreamResponse:
        return reply(msgspec.to_builtins(await call.run(self._explorer.layers, call.places["name"])))

    async def report(self, call: Call) -> web.StreamResponse:
        report = await call.run_cancellable(self._explorer.report, call.places["name"])
        return reply(msgspec.to_builtins(report))

    async def files(self, call: Call) -> web.StreamResponse:
        path, layer = call.text("path") or "/", call.number("layer")
        files = await call.run(partial(self._explorer.files, call.places["name"], path, layer=layer))
        return reply(msgspec.to_builtins(files))

    async def find(self, call: Call) -> web.StreamResponse:
        search = call.json_parameter("search", Search, Search())
        find = partial(self._explorer.find, call.places["name"], search, layer=call.number("layer"))
        return reply(msgspec.to_builtins(await call.run_cancellable(find)))

    async def file(self, call: Call) -> web.StreamResponse:
        path, layer = _needed(call, "path"), call.number("layer")

        def work(sink: Sink, cancellation: Cancellation) -> None:
            into = cast(IO[bytes], sink)
            self._explorer.read(call.places["name"], path, into, layer=layer, cancellation=cancellation)

        return await bytes_response(call, work, "application/octet-stream")

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
