"""`/volumes`: list, inspect, create, remove, prune."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
from aiohttp import web

from lamina.daemon.http.call import Call, empty, reply
from lamina.daemon.http.routing import Route
from lamina.daemon.render.volume import volume as render
from lamina.errors import InvalidInput
from lamina.volumes.volumes import Volumes


class CreateBody(msgspec.Struct, rename="pascal"):
    """The body of create."""

    name: str = ""
    driver: str = "local"
    driver_opts: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    cluster_volume_spec: dict[str, Any] | None = None


class VolumeRoutes:
    """The endpoints of volumes."""

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/volumes", self.list),
            Route("POST", "/volumes/create", self.create),
            Route("POST", "/volumes/prune", self.prune),
            Route("GET", "/volumes/{name}", self.inspect),
            Route("DELETE", "/volumes/{name}", self.remove),
        ]

    async def list(self, call: Call) -> web.StreamResponse:
        volumes = await call.run(self._volumes.list, call.filters())
        return reply({"Volumes": [render(volume) for volume in volumes], "Warnings": None})

    async def inspect(self, call: Call) -> web.StreamResponse:
        return reply(render(self._volumes.get(call.places["name"])))

    async def create(self, call: Call) -> web.StreamResponse:
        body = await call.json(CreateBody)
        if body.cluster_volume_spec:
            raise InvalidInput("cluster volumes need a swarm, which lamina is not")
        create = partial(self._volumes.create, driver=body.driver, labels=body.labels, driver_opts=body.driver_opts)
        volume = await call.run(create, body.name or None)
        return reply(render(volume), 201)

    async def remove(self, call: Call) -> web.StreamResponse:
        await call.run(self._volumes.remove, call.places["name"], force=call.flag("force"))
        return empty()

    async def prune(self, call: Call) -> web.StreamResponse:
        filters = call.filters()
        if call.version < (1, 42):  # since then prune takes only those that nobody named, unless all=true
            filters["all"] = ["true"]
        pruned = await call.run_cancellable(self._volumes.prune, filters)
        return reply({"VolumesDeleted": list(pruned.removed), "SpaceReclaimed": pruned.reclaimed})
