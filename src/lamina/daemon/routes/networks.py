"""`/networks`: list, inspect, create, connect, disconnect, remove, prune."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from lamina.api.containers import EndpointConfig
from lamina.api.containers import decode as convert
from lamina.api.networks import decode
from lamina.containers.containers import Containers
from lamina.daemon.http.call import Call, empty, reply
from lamina.daemon.http.routing import Route
from lamina.daemon.render.network import network as render
from lamina.daemon.render.network import status
from lamina.errors import NotFound
from lamina.network.model import Network
from lamina.network.networks import Networks


class Connection(msgspec.Struct, rename="pascal"):
    """The body of connect and disconnect."""

    container: str = ""
    endpoint_config: dict[str, Any] | None = None
    force: bool = False


class NetworkRoutes:
    """The endpoints of networks."""

    def __init__(self, networks: Callable[[], Networks], containers: Containers) -> None:
        """`networks` opens the networks, which need root, when the first request is about them."""
        self._networks = networks
        self._containers = containers

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/networks", self.list),
            Route("POST", "/networks/create", self.create),
            Route("POST", "/networks/prune", self.prune),
            Route("GET", "/networks/{id}", self.inspect),
            Route("DELETE", "/networks/{id}", self.remove),
            Route("POST", "/networks/{id}/connect", self.connect),
            Route("POST", "/networks/{id}/disconnect", self.disconnect),
        ]

    async def list(self, call: Call) -> web.StreamResponse:
        def work() -> list[dict[str, Any]]:
            networks = self._networks().list(call.filters())
            # Since 1.28 the list leaves the containers out: they are many, and inspect has them.
            return [self._shown(item, call, containers=call.version < (1, 28)) for item in networks]

        return reply(await call.run(work))

    async def inspect(self, call: Call) -> web.StreamResponse:
        def work() -> dict[str, Any]:
            item = self._networks().get(call.places["id"])
            if call.text("scope") not in ("", "local"):
                raise NotFound(f"network {call.places['id']} not found")
            document = self._shown(item, call, containers=True)
            if call.version >= (1, 52):
                document["Status"] = status(item, self._networks().endpoints(item.id))
            return document

        return reply(await call.run(work))

    async def create(self, call: Call) -> web.StreamResponse:
        name, options = decode(await call.json(dict[str, Any]))
        if call.version < (1, 48):
            options = msgspec.structs.replace(options, enable_ipv4=None)  # it came with 1.48
        network = await call.run(self._networks().create, name, options)
        return reply({"Id": network.id, "Warning": ""}, 201)

    async def remove(self, call: Call) -> web.StreamResponse:
        await call.run(self._networks().remove, call.places["id"])
        return empty()

    async def connect(self, call: Call) -> web.StreamResponse:
        body = await call.json(Connection)
        endpoint = convert(body.endpoint_config or {}, EndpointConfig)
        await call.run(self._containers.connect, body.container, call.places["id"], endpoint)
        return empty(200)

    async def disconnect(self, call: Call) -> web.StreamResponse:
        body = await call.json(Connection)
        await call.run(self._containers.disconnect, body.container, call.places["id"], force=body.force)
        return empty(200)

    async def prune(self, call: Call) -> web.StreamResponse:
        pruned = await call.run_cancellable(self._networks().prune, call.filters())
        return reply({"NetworksDeleted": list(pruned.removed) or None})

    def _shown(self, item: Network, call: Call, *, containers: bool) -> dict[str, Any]:
        endpoints = self._networks().endpoints(item.id) if containers else ()
        return render(item, endpoints, self._name_of, call.version)

    def _name_of(self, container_id: str) -> str:
        try:
            return self._containers.live(container_id).name
        except NotFound:
            return ""  # a step of a build
