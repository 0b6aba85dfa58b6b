"""`/containers`: create, list, inspect and the verbs of a container's life."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import msgspec
from aiohttp import web

from lamina.api.containers import UpdateConfig
from lamina.api.containers import decode as convert
from lamina.containers.containers import Containers
from lamina.daemon.http.call import Call, empty, json_reply, reply
from lamina.daemon.http.routing import Route
from lamina.daemon.render import container as render
from lamina.daemon.render.kept_items import KeptItems
from lamina.daemon.routes.create_request import CreateRequest
from lamina.daemon.routes.images import named, platform
from lamina.errors import InvalidInput
from lamina.formats.runconfig import RunConfig


class ContainerRoutes:
    """The endpoints of containers, but for their streams and files."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._listed = KeptItems(render.listed)

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/containers/json", self.list),
            Route("POST", "/containers/create", self.create),
            Route("POST", "/containers/prune", self.prune),
            Route("GET", "/containers/{id*}/json", self.inspect),
            Route("GET", "/containers/{id*}/top", self.top),
            Route("GET", "/containers/{id*}/changes", self.changes),
            Route("POST", "/containers/{id*}/start", self.start),
            Route("POST", "/containers/{id*}/stop", self.stop),
            Route("POST", "/containers/{id*}/restart", self.restart),
            Route("POST", "/containers/{id*}/kill", self.kill),
            Route("POST", "/containers/{id*}/pause", self.pause),
            Route("POST", "/containers/{id*}/unpause", self.unpause),
            Route("POST", "/containers/{id*}/rename", self.rename),
            Route("POST", "/containers/{id*}/update", self.update),
            Route("POST", "/containers/{id*}/resize", self.resize),
            Route("DELETE", "/containers/{id*}", self.remove),
            Route("POST", "/commit", self.commit),
        ]

    async def create(self, call: Call) -> web.StreamResponse:
        request = CreateRequest.read(call.version, await call.json(dict[str, Any]))
        created = await call.run(
            self._containers.create_as,
            call.text("name") or None,
            request.config,
            request.host,
            request.networking,
            platform(call) if call.version >= (1, 41) else "",
            recursive_read_only=request.recursive_read_only,
        )
        return reply({"Id": created.id, "Warnings": [*created.warnings, *request.warnings]}, 201)

    async def list(self, call: Call) -> web.StreamResponse:
        filters = call.filters()
        for name in ("before", "since"):
            if call.text(name):
                filters.setdefault(name, []).append(call.text(name))

        def work() -> bytes:
            containers = self._containers.list(
                all=call.flag("all"), limit=call.number("limit") or 0, size=call.flag("size"), filters=filters
            )
            return self._listed.array(containers, call.version)

        return json_reply(await call.run(work))

    async def inspect(self, call: Call) -> web.StreamResponse:
        container = await call.run(self._containers.get, call.places["id"], size=call.flag("size"))
        return reply(render.inspect(container, call.version))

    async def top(self, call: Call) -> web.StreamResponse:
        processes = await call.run(self._containers.top, call.places["id"], call.text("ps_args"))
        return reply(render.processes(processes))

    async def changes(self, call: Call) -> web.StreamResponse:
        def work() -> list[dict[str, Any]]:
            return render.changes(self._containers.changes(call.places["id"]))

        return reply(await call.run(work) or None)

    async def start(self, call: Call) -> web.StreamResponse:
        return empty(204 if await call.run(self._containers.start, call.places["id"]) else 304)

    async def stop(self, call: Call) -> web.StreamResponse:
        verb = self._containers.stop
        stopped = await call.run(verb, call.places["id"], timeout=call.number("t"), signal=call.text("signal"))
        return empty(204 if stopped else 304)

    async def restart(self, call: Call) -> web.StreamResponse:
        verb = self._containers.restart
        await call.run(verb, call.places["id"], timeout=call.number("t"), signal=call.text("signal"))
        return empty()

    async def kill(self, call: Call) -> web.StreamResponse:
        await call.run(self._containers.kill, call.places["id"], call.text("signal") or "KILL")
        return empty()

    async def pause(self, call: Call) -> web.StreamResponse:
        await call.run(self._containers.pause, call.places["id"])
        return empty()

    async def unpause(self, call: Call) -> web.StreamResponse:
        await call.run(self._containers.unpause, call.places["id"])
        return empty()

    async def rename(self, call: Call) -> web.StreamResponse:
        await call.run(self._containers.rename, call.places["id"], call.text("name"))
        return empty()

    async def update(self, call: Call) -> web.StreamResponse:
        changes = convert(await call.json(dict[str, Any]), UpdateConfig)
        if call.version < (1, 40):
            changes = msgspec.structs.replace(changes, pids_limit=None)
        warnings = await call.run(self._containers.update, call.places["id"], changes)
        return reply({"Warnings": list(warnings) or None})

    async def resize(self, call: Call) -> web.StreamResponse:
        height, width = size_of(call)
        await call.run(self._containers.resize, call.places["id"], height, width)
        return empty(200)

    async def remove(self, call: Call) -> web.StreamResponse:
        """Remove a container, or with `link` the link that a container has under an alias."""
        flags = {"force": call.flag("force"), "volumes": call.flag("v"), "link": call.flag("link")}
        await call.run(partial(self._containers.remove, call.places["id"], **flags))
        return empty()

    async def prune(self, call: Call) -> web.StreamResponse:
        pruned = await call.run_cancellable(self._containers.prune, call.filters())
        return reply({"ContainersDeleted": list(pruned.removed) or None, "SpaceReclaimed": pruned.reclaimed})

    async def commit(self, call: Call) -> web.StreamResponse:
        document = await call.json(dict[str, Any])
        image = await call.run_cancellable(
            self._containers.commit,
            call.text("container"),
            name=str(named(call.text("repo"), call.text("tag")) or ""),
            author=call.text("author"),
            message=call.text("comment"),
            changes=[line for text in call.texts("changes") for line in text.splitlines() if line.strip()],
            config=convert(document, RunConfig) if document else None,
            pause=call.flag("pause", True),
        )
        return reply({"Id": str(image.id)}, 201)


def size_of(call: Call) -> tuple[int, int]:
    """Return the parameters `h` and `w`, in characters, 32 bits each. Raise InvalidInput."""
    return _size("height", call.text("h")), _size("width", call.text("w"))


def _size(name: str, text: str) -> int:
    """Return a number of 32 bits, or refuse it in the words of Go's strconv, which clients look for."""
    if not re.fullmatch("-?[0-9]+", text):
        raise InvalidInput(f'invalid resize {name} "{text}": invalid syntax', value=text)
    if len(text) > 10 or not 0 <= int(text) < 1 << 32:
        raise InvalidInput(f'invalid resize {name} "{text}": value out of range', value=text)
    return int(text)
