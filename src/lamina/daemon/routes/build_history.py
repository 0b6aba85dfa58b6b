"""`/build/history`: the records of builds, which Docker's API has over BuildKit's protocol alone."""

from __future__ import annotations

from aiohttp import web
from msgspec.structs import replace

from lamina.api.build_history import BuildRecord
from lamina.daemon.http.call import Call, empty, reply
from lamina.daemon.http.routing import Route
from lamina.engine.builds import Builds


class BuildHistoryRoutes:
    """The endpoints of the history."""

    def __init__(self, builds: Builds) -> None:
        self._builds = builds

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/build/history", self.list),
            Route("POST", "/build/history", self.keep),
            Route("GET", "/build/history/{ref}", self.inspect),
            Route("DELETE", "/build/history/{ref}", self.remove),
        ]

    async def list(self, call: Call) -> web.StreamResponse:
        """The list goes without logs, steps and vertices: `inspect` has them."""
        records = await call.run(self._builds.history)
        return reply([replace(record, vertices=(), steps=(), log="").to_json() for record in records])

    async def keep(self, call: Call) -> web.StreamResponse:
        record = BuildRecord.decode(await call.body())
        await call.run(self._builds.keep_record, record)
        return reply({"Ref": record.ref}, 201)

    async def inspect(self, call: Call) -> web.StreamResponse:
        record = await call.run(self._builds.record, call.places["ref"])
        return reply(record.to_json())

    async def remove(self, call: Call) -> web.StreamResponse:
        await call.run(self._builds.remove_record, call.places["ref"])
        return empty()
