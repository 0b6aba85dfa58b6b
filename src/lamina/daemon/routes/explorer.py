"""`/images/{name}/explorer/…`: looking into images; into containers and registries below their own paths.

These endpoints are lamina's own; Docker's API has none of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, cast

import msgspec
from aiohttp import web

from lamina.api.explorer import Search
from lamina.cancellation import Cancellation
from lamina.daemon.http.admission import Kind
from lamina.daemon.http.call import Call, dump, json_reply
from lamina.daemon.http.decoding import config_header
from lamina.daemon.http.direct import bytes_response
from lamina.daemon.http.routing import Route
from lamina.daemon.http.stream import Sink
from lamina.errors import InvalidInput
from lamina.explorer.explorer import Explorer


class ExplorerRoutes:
    """The endpoints that look into images, containers, and images at registries."""

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/images/{name*}/explorer/layers", self.layers),
            Route("GET", "/images/{name*}/explorer/sources", self.sources, Kind.WORK),
            Route("GET", "/images/{name*}/explorer/report", self.report, Kind.WORK),
            Route("GET", "/images/{name*}/explorer/files", self.files, Kind.WORK),
            Route("GET", "/images/{name*}/explorer/find", self.find, Kind.WORK),
            Route("GET", "/images/{name*}/explorer/file", self.file, Kind.WORK),
            Route("GET", "/images/{name*}/explorer/blame", self.blame, Kind.WORK),
            Route("GET", "/images/{name*}/explorer/compare", self.compare, Kind.WORK),
            Route("GET", "/images/{name*}/explorer/weights", self.weights, Kind.WORK),
            Route("GET", "/images/{name*}/explorer/savings", self.savings, Kind.WORK),
            Route("GET", "/images/{name*}/explorer/packages", self.packages, Kind.WORK),
            Route("GET", "/images/{name*}/explorer/secrets", self.secrets, Kind.WORK),
            Route("GET", "/images/{name*}/explorer/sharing", self.sharing, Kind.WORK),
            Route("GET", "/containers/{container}/explorer/layers", self.layers, Kind.WORK),
            Route("GET", "/containers/{container}/explorer/sources", self.sources, Kind.WORK),
            Route("GET", "/containers/{container}/explorer/report", self.report, Kind.WORK),
            Route("GET", "/containers/{container}/explorer/files", self.files, Kind.WORK),
            Route("GET", "/containers/{container}/explorer/find", self.find, Kind.WORK),
            Route("GET", "/containers/{container}/explorer/file", self.file, Kind.WORK),
            Route("GET", "/containers/{container}/explorer/blame", self.blame, Kind.WORK),
            Route("GET", "/containers/{container}/explorer/compare", self.compare, Kind.WORK),
            Route("GET", "/containers/{container}/explorer/weights", self.weights, Kind.WORK),
            Route("GET", "/containers/{container}/explorer/savings", self.savings, Kind.WORK),
            Route("GET", "/containers/{container}/explorer/packages", self.packages, Kind.WORK),
            Route("GET", "/containers/{container}/explorer/secrets", self.secrets, Kind.WORK),
            Route("GET", "/containers/{container}/explorer/sharing", self.sharing, Kind.WORK),
            Route("GET", "/distribution/{remote*}/explorer/layers", self.layers, Kind.WORK),
            Route("GET", "/distribution/{remote*}/explorer/sources", self.sources, Kind.WORK),
            Route("GET", "/distribution/{remote*}/explorer/report", self.report, Kind.WORK),
            Route("GET", "/distribution/{remote*}/explorer/files", self.files, Kind.WORK),
            Route("GET", "/distribution/{remote*}/explorer/find", self.find, Kind.WORK),
            Route("GET", "/distribution/{remote*}/explorer/file", self.file, Kind.WORK),
            Route("GET", "/distribution/{remote*}/explorer/blame", self.blame, Kind.WORK),
            Route("GET", "/distribution/{remote*}/explorer/compare", self.compare, Kind.WORK),
            Route("GET", "/distribution/{remote*}/explorer/weights", self.weights, Kind.WORK),
            Route("GET", "/distribution/{remote*}/explorer/savings", self.savings, Kind.WORK),
            Route("GET", "/distribution/{remote*}/explorer/packages", self.packages, Kind.WORK),
            Route("GET", "/distribution/{remote*}/explorer/secrets", self.secrets, Kind.WORK),
            Route("GET", "/distribution/{remote*}/explorer/sharing", self.sharing, Kind.WORK),
        ]

    async def layers(self, call: Call) -> web.StreamResponse:
        return json_reply(await call.run(_json(self._of(call).layers, _reference(call))))

    async def sources(self, call: Call) -> web.StreamResponse:
        return await _answer(call, self._of(call).sources)

    async def report(self, call: Call) -> web.StreamResponse:
        return await _answer(call, self._of(call).report)

    async def savings(self, call: Call) -> web.StreamResponse:
        return await _answer(call, self._of(call).savings)

    async def weights(self, call: Call) -> web.StreamResponse:
        number, most = call.number("layer"), call.number("most")
        chosen = {} if most is None else {"most": most}
        weights = _json(self._of(call).weights, _reference(call), layer=number, **chosen)
        return json_reply(await call.run_cancellable(weights))

    async def packages(self, call: Call) -> web.StreamResponse:
        return await _answer(call, self._of(call).packages)

    async def secrets(self, call: Call) -> web.StreamResponse:
        return await _answer(call, self._of(call).secrets)

    async def blame(self, call: Call) -> web.StreamResponse:
        return await _answer(call, self._of(call).blame, _needed(call, "path"))

    async def compare(self, call: Call) -> web.StreamResponse:
        return await _answer(call, self._of(call).compare, _needed(call, "with"))

    async def sharing(self, call: Call) -> web.StreamResponse:
        return await _answer(call, self._of(call).sharing, _needed(call, "with"))

    async def files(self, call: Call) -> web.StreamResponse:
        path, layer = call.text("path") or "/", call.number("layer")
        return json_reply(await call.run(_json(self._of(call).files, _reference(call), path, layer=layer)))

    async def find(self, call: Call) -> web.StreamResponse:
        search = call.json_parameter("search", Search, Search())
        find = _json(self._of(call).find, _reference(call), search, layer=call.number("layer"))
        return json_reply(await call.run_cancellable(find))

    async def file(self, call: Call) -> web.StreamResponse:
        path, layer = _needed(call, "path"), call.number("layer")
        explorer, reference = self._of(call), _reference(call)

        def work(sink: Sink, cancellation: Cancellation) -> None:
            explorer.read(reference, path, cast(IO[bytes], sink), layer=layer, cancellation=cancellation)

        return await bytes_response(call, work, "application/octet-stream")

    def _of(self, call: Call) -> Explorer:
        """Return the explorer with the credentials that the client sent for registries."""
        header = call.request.headers.get("X-Registry-Config", "")
        return self._explorer.with_credentials(config_header(header)) if header else self._explorer


async def _answer(call: Call, verb: Callable[..., object], *arguments: str) -> web.StreamResponse:
    return json_reply(await call.run_cancellable(_json(verb, _reference(call), *arguments)))


def _reference(call: Call) -> str:
    """Return what the path names, as the explorer's verbs take it."""
    places = call.places
    if "container" in places:
        return f"container://{places['container']}"
    return f"registry://{places['remote']}" if "remote" in places else places["name"]


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
