"""`/exec` and `/containers/{id}/exec`: more processes in running containers."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec
from aiohttp import web

from lamina.api.containers import ExecConfig
from lamina.api.containers import decode as convert
from lamina.containers.containers import Containers
from lamina.daemon.http.admission import Kind
from lamina.daemon.http.call import Call, empty, reply
from lamina.daemon.http.hijack import Translate, hijack_first
from lamina.daemon.http.routing import Route
from lamina.daemon.http.websocket import check_websocket, converse
from lamina.daemon.render.container import executed
from lamina.daemon.routes.containers import size_of
from lamina.formats.frames import STDOUT, frame, unframer

SETTLE_SECONDS = 1.0  # for a process that closes its output and goes on


class StartBody(msgspec.Struct, rename="pascal"):
    """The body of start. `tty` asks for a raw stream, whatever the exec was made with; otherwise it has frames."""

    detach: bool = False
    tty: bool = False
    console_size: tuple[int, int] | None = None


class ExecRoutes:
    """The endpoints of execs."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/containers/{id*}/exec", self.create),
            Route("POST", "/exec/{id}/start", self.start, Kind.PROCESS),
            Route("GET", "/exec/{id}/start/ws", self.start_websocket, Kind.PROCESS),
            Route("POST", "/exec/{id}/resize", self.resize),
            Route("GET", "/exec/{id}/json", self.inspect),
        ]

    async def create(self, call: Call) -> web.StreamResponse:
        config = convert(await call.json(dict[str, Any]), ExecConfig)
        exec_id = await call.run(self._containers.exec_create, call.places["id"], config)
        return reply({"Id": exec_id}, 201)

    async def start(self, call: Call) -> web.StreamResponse:
        body = await call.json(StartBody)
        exec_id, containers = call.places["id"], self._containers
        terminal = containers.exec_inspect(exec_id).config.tty
        if body.detach:
            await call.run(containers.exec_detached, exec_id)
            return empty(200)

        async def started() -> socket.socket:
            stream = await call.run(containers.exec_start_sized, exec_id, body.console_size)
            return stream.detach()

        # A command that cannot be run is told in the stream. Its exit code is 126 or 127 then.
        translate: Translate = bytes
        if terminal != body.tty:
            translate = partial(frame, STDOUT) if terminal else unframer()
        settled = self._settled(call, exec_id)
        return await hijack_first(call, started, framed=not body.tty, settled=settled, translate=translate)

    def _settled(self, call: Call, exec_id: str) -> Callable[[], Awaitable[None]]:
        """Return what waits for the exit code: clients ask for it as soon as the stream ends."""

        async def settled() -> None:
            await call.run(self._containers.exec_settle, exec_id, SETTLE_SECONDS)

        return settled

    async def start_websocket(self, call: Call) -> web.StreamResponse:
        """Start the command over a WebSocket, without frames; `h` and `w` are the size of its terminal.

        This endpoint is lamina's own, for web pages, which cannot take a connection over.
        """
        check_websocket(call)
        exec_id, containers = call.places["id"], self._containers
        terminal = containers.exec_inspect(exec_id).config.tty
        size = size_of(call) if call.text("h") or call.text("w") else None
        stream = await call.run(containers.exec_start_sized, exec_id, size)
        translate: Translate = bytes if terminal else unframer()
        settled = self._settled(call, exec_id)
        return await converse(call, stream.detach(), binary=True, translate=translate, settled=settled)

    async def resize(self, call: Call) -> web.StreamResponse:
        height, width = size_of(call)
        await call.run(self._containers.exec_resize, call.places["id"], height, width)
        return empty(200)

    async def inspect(self, call: Call) -> web.StreamResponse:
        return reply(executed(await call.run(self._containers.exec_inspect, call.places["id"])))
