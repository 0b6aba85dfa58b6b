"""`/commit`: an image of what a container changed."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from lamina.api.containers import decode as convert
from lamina.daemon.http.call import Call, reply
from lamina.daemon.http.routing import Route
from lamina.daemon.routes.images import named
from lamina.engine import Engine
from lamina.formats.runconfig import RunConfig


class CommitRoutes:
    """The handlers over one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self) -> list[Route]:
        return [Route("POST", "/commit", self.commit)]

    async def commit(self, call: Call) -> web.StreamResponse:
        document = await call.json(dict[str, Any])
        image = await call.run_cancellable(
            self._engine.commit,
            call.text("container"),
            reference=named(call.text("repo"), call.text("tag")),
            author=call.text("author"),
            message=call.text("comment"),
            changes=[line for text in call.texts("changes") for line in text.splitlines() if line.strip()],
            config=convert(document, RunConfig) if document else None,
            pause=call.flag("pause", True),
        )
        return reply({"Id": str(image.id)}, 201)
