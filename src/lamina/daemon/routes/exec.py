"""`/exec` and `/containers/{id}/exec`: more processes in running containers."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
from aiohttp import web

from lamina.containers.config import ExecConfig
from lamina.containers.config import decode as convert
from lamina.containers.containers import Containers
from lamina.daemon.http.call import Call, empty, reply
from lamina.daemon.http.hijack import hijack
from lamina.daemon.http.routing import Route
from lamina.daemon.routes.containers import size_of


class StartBody(msgspec.Struct, rename="pascal"):
    """The body of start. `tty` must say what the exec was made with; the exec itself is what counts."""

    detach: bool = False
    tty: bool = False
    console_size: tuple[int, int] | None = None


class Backend(Protocol):
    """What this group needs of the engine."""

    @property
    def containers(self) -> Containers: ...


class ExecRoutes:
    """The handlers over one backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/containers/{id}/exec", self.create),
            Route("POST", "/exec/{id}/start", self.start),
            Route("POST", "/exec/{id}/resize", self.resize),
            Route("GET", "/exec/{id}/json", self.inspect),
        ]

    async def create(self, call: Call) -> web.StreamResponse:
        config = convert(await call.json(dict[str, Any]), ExecConfig)
        made = await call.run(self._backend.containers.exec_create, call.places["id"], config)
        return reply({"Id": made}, 201)

    async def start(self, call: Call) -> web.StreamResponse:
        body = await call.json(StartBody)
        exec_id = call.places["id"]
        containers = self._backend.containers
        inner = await call.run(containers.exec_start, exec_id, detach=body.detach, size=body.console_size)
        if inner is None:
            return empty(200)
        tty = containers.exec_inspect(exec_id)["ProcessConfig"]["tty"]
        return await hijack(call, inner, framed=not tty)

    async def resize(self, call: Call) -> web.StreamResponse:
        height, width = size_of(call)
        await call.run(self._backend.containers.exec_resize, call.places["id"], height, width)
        return empty(200)

    async def inspect(self, call: Call) -> web.StreamResponse:
        return reply(await call.run(self._backend.containers.exec_inspect, call.places["id"]))
