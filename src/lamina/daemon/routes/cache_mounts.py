"""`/build/mounts`: the directories of `RUN --mount=type=cache`, which Docker's API only counts."""

from __future__ import annotations

from typing import IO, cast

from aiohttp import web

from lamina.cancellation import Cancellation
from lamina.daemon.http.admission import Kind
from lamina.daemon.http.call import Call, empty, reply
from lamina.daemon.http.direct import bytes_response
from lamina.daemon.http.routing import Route
from lamina.daemon.http.stream import Sink
from lamina.daemon.http.upload import receiving
from lamina.engine.builds import Builds


class CacheMountRoutes:
    """The endpoints of cache mounts. Their names are paths as a rule, so they come as a parameter."""

    def __init__(self, builds: Builds) -> None:
        self._builds = builds

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/build/mounts", self.export, Kind.WORK),
            Route("PUT", "/build/mounts", self.import_),
            Route("DELETE", "/build/mounts", self.remove),
        ]

    async def export(self, call: Call) -> web.StreamResponse:
        def work(sink: Sink, cancellation: Cancellation) -> None:
            self._builds.export_mount(call.text("name"), cast(IO[bytes], sink), cancellation=cancellation)

        return await bytes_response(call, work, "application/x-tar")

    async def import_(self, call: Call) -> web.StreamResponse:
        async with receiving(call.request.content) as upload:
            name, source = call.text("name"), cast(IO[bytes], upload)
            imported = await call.run_cancellable(self._builds.import_mount, name, source)
        return reply(imported.to_json())

    async def remove(self, call: Call) -> web.StreamResponse:
        await call.run(self._builds.remove_mount, call.text("name"))
        return empty()
