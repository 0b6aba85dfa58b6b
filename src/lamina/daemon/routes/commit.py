"""`/commit`: an image of what a container changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from aiohttp import web

from lamina.containers.config import decode as convert
from lamina.daemon.http.call import Call, reply
from lamina.daemon.http.routing import Route
from lamina.daemon.routes.images import named
from lamina.formats.reference import Reference
from lamina.formats.runconfig import RunConfig
from lamina.images.image import Image


class Backend(Protocol):
    """What this group needs of the engine."""

    def commit(
        self,
        container: str,
        reference: Reference | None = None,
        *,
        author: str = "",
        message: str = "",
        changes: Sequence[str] = (),
        config: RunConfig | None = None,
        pause: bool = True,
    ) -> Image: ...


class CommitRoutes:
    """The handlers over one backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def routes(self) -> list[Route]:
        return [Route("POST", "/commit", self.commit)]

    async def commit(self, call: Call) -> web.StreamResponse:
        document = await call.json(dict[str, Any])
        image = await call.run(
            self._backend.commit,
            call.text("container"),
            reference=named(call.text("repo"), call.text("tag")),
            author=call.text("author"),
            message=call.text("comment"),
            changes=[line for text in call.texts("changes") for line in text.splitlines() if line.strip()],
            config=convert(document, RunConfig) if document else None,
            pause=call.flag("pause", True),
        )
        return reply({"Id": str(image.id)}, 201)
