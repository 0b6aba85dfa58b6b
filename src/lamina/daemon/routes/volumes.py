"""`/volumes`: list, inspect, create, remove, prune."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from lamina.daemon.http.call import Call, empty, reply
from lamina.daemon.http.decoding import any_fits, check_names, flag
from lamina.daemon.http.routing import Route
from lamina.errors import InvalidInput, NotFound
from lamina.formats.matching import Filters, labels_match
from lamina.volumes.volume import Volume
from lamina.volumes.volumes import Volumes


class CreateBody(msgspec.Struct, rename="pascal"):
    """The body of create."""

    name: str = ""
    driver: str = "local"
    driver_opts: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    cluster_volume_spec: dict[str, Any] | None = None


def render(volume: Volume, volumes: Volumes) -> dict[str, Any]:
    """A volume as JSON."""
    return {
        "CreatedAt": volume.created,
        "Driver": "local",
        "Labels": volume.labels or None,
        "Mountpoint": str(volumes.mountpoint(volume)),
        "Name": volume.name,
        "Options": volume.options or None,
        "Scope": "local",
    }


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
        filters = call.filters()
        check_names(filters, {"dangling", "driver", "label", "name"})
        flag(filters, "dangling", False)

        def work() -> list[dict[str, Any]]:
            volumes = self._volumes
            return [render(item, volumes) for item in volumes.list() if self._fits(item, filters)]

        return reply({"Volumes": await call.run(work), "Warnings": None})

    async def inspect(self, call: Call) -> web.StreamResponse:
        volume = self._volumes.get(call.places["name"])
        return reply(render(volume, self._volumes))

    async def create(self, call: Call) -> web.StreamResponse:
        body = await call.json(CreateBody)
        if body.driver not in ("", "local"):
            missing = f'Error looking up volume plugin {body.driver}: plugin "{body.driver}" not found'
            raise NotFound(f"create {body.name}: {missing}")
        if body.cluster_volume_spec:
            raise InvalidInput("cluster volumes need a swarm, which lamina is not")
        volume = await call.run(self._volumes.create, body.name or None, body.labels, body.driver_opts)
        return reply(render(volume, self._volumes), 201)

    async def remove(self, call: Call) -> web.StreamResponse:
        await call.run(self._volumes.remove, call.places["name"], force=call.flag("force"))
        return empty()

    async def prune(self, call: Call) -> web.StreamResponse:
        filters = call.filters()
        check_names(filters, {"all", "label", "label!"})
        # Before 1.42 prune took every unused volume; since then only those nobody named, unless all=true.
        everything = call.version < (1, 42) or flag(filters, "all", False)

        def keep(volume: Volume) -> bool:
            return not labels_match(volume.labels, filters) or not (everything or volume.anonymous)

        names, freed = await call.run_cancellable(self._volumes.prune, keep)
        return reply({"VolumesDeleted": list(names) or None, "SpaceReclaimed": freed})

    def _fits(self, volume: Volume, filters: Filters) -> bool:
        if filters.get("driver") and "local" not in filters["driver"]:
            return False
        if "dangling" in filters:
            unused = not self._volumes.users(volume.name)
            if unused != flag(filters, "dangling", False):
                return False
        return any_fits([volume.name], filters.get("name", ())) and labels_match(volume.labels, filters)
