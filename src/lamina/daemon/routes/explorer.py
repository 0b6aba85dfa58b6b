"""`/images/{name}/explorer/…`: looking into images. These endpoints are lamina's own; Docker's API has none of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, cast

import msgspec
from aiohttp import web

from lamina.api.explorer import Search
from lamina.cancellation import Cancellation
from lamina.daemon.http.admission import Kind
from lamina.daemon.http.call import Call, dump, json_reply
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
            Route("GET", "/images/{name*}/explorer/files", self.files, Kind.WORK),
            Route("GET", "/images/{name*}/explorer/find", self.find, Kind.WORK),
            Route("GET", "/images/{name*}/explorer/file", self.file, Kind.WORK),
            Route("GET", "/images/{name*}/explorer/blame", self.blame, Kind.WORK),
            Route("GET", "/images/{name*}/explorer/compare", self.compare, Kind.WORK),
        ]

    async def layers(self, call: Call) -> web.StreamResponse:
        return json_reply(await call.run(_json(self._explorer.layers, call.places["name"])))

    async def report(self, call: Call) -> web.StreamResponse:
        return json_reply(await call.run_cancellable(_json(self._explorer.report, call.places["name"])))

    async def files(self, call: Call) -> web.StreamResponse:
        path, layer = call.text("path") or "/", call.number("layer")
        return json_reply(await call.run(_json(self._explorer.files, call.places["name"], path, layer=layer)))

    async def find(self, call: Call) -> web.StreamResponse:
        search = call.json_parameter("search", Search, Search())
        find = _json(self._explorer.find, call.places["name"], search, layer=call.number("layer"))
        return json_reply(await call.run_cancellable(find))

    async def file(self, call: Call) -> web.StreamResponse:
        path, layer = _needed(call, "path"), call.number("layer")

        def work(sink: Sink, cancellation: Cancellation) -> None:
            into = cast(IO[bytes], sink)
            self._explorer.read(call.places["name"], path, into, layer=layer, cancellation=cancellation)

        return await bytes_response(call, work, "application/octet-stream")

    async def blame(self, call: Call) -> web.StreamResponse:
        blame = _json(self._explorer.blame, call.places["name"], _needed(call, "path"))
        return json_reply(await call.run_cancellable(blame))

    async def compare(self, call: Call) -> web.StreamResponse:
        compare = _json(self._explorer.compare, call.places["name"], _needed(call, "with"))
        return json_reply(await call.run_cancellable(compare))


def _json(verb: Callable[..., object], *arguments: object, **named: object) -> Callable[..., bytes]:
    """Return the verb with these arguments, as one that writes its answer in the thread that it runs in.

    Answers may have a hundred thousand files, and the event loop has others to serve.
    """

    def written(**more: object) -> bytes:
        return dump(msgspec.to_builtins(verb(*arguments, **named, **more)))

    return written


def _needed(call: Call, name: str) -> str:
    text = call.text(name)
    if not text:
        raise InvalidInput(f"the parameter {name} is missing", parameter=name)
    return text
