"""Builds by a daemon over the classic API: the request goes out, progress comes back, and it ends with an image."""

from __future__ import annotations

import os

from lamina.cancellation import NEVER, Cancellation
from lamina.client.context import BuildContext
from lamina.client.documents import Pruned
from lamina.client.image_documents import BuildResult
from lamina.client.images import Images
from lamina.client.messages import auth_of, encode_auth, messages
from lamina.client.sending import TAR
from lamina.errors import CommandFailed, InvalidInput
from lamina.light import TYPE_CHECKING, NamedTuple
from lamina.progress import Aux, Output, Report, ignore
from lamina.types import builds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from lamina.api.build import BuildRequest
    from lamina.api.build_steps import BuildStep
    from lamina.api.memory_context import MemoryContext
    from lamina.client.transport import Transport
    from lamina.credentials import Credentials
    from lamina.formats.matching import Filters


class SentBuild(NamedTuple):
    """The ID of the image that a build made, and what became of its steps."""

    image: str
    steps: tuple[BuildStep, ...]


class Builds(builds.Builds):
    """Builds by a daemon. `reads_in_place` tells whether it reads a directory by itself.

    lamina's does, over a unix socket.
    """

    def __init__(self, transport: Transport, reads_in_place: Callable[[], bool]) -> None:
        self._transport = transport
        self._reads_in_place = reads_in_place

    def build(
        self,
        context: str | os.PathLike[str] | MemoryContext | None,
        request: BuildRequest | None = None,
        *,
        credentials: Mapping[str, Credentials] | None = None,
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> BuildResult:
        from lamina.api.build import BuildRequest

        request = request or BuildRequest()
        source = self._context(context, request)
        sent = self.send(source, request, credentials=credentials or {}, report=report, cancellation=cancellation)
        return BuildResult(Images(self._transport).get(sent.image), sent.steps)

    def send(
        self,
        context: BuildContext | None,
        request: BuildRequest,
        *,
        credentials: Mapping[str, Credentials],
        report: Report,
        cancellation: Cancellation = NEVER,
    ) -> SentBuild:
        """Build a context that is ready to be sent.

        Raise CommandFailed when a step fails, with its exit code in the facts.
        """
        from msgspec.structs import replace

        auths = {name: auth_of(name, login) for name, login in credentials.items()}
        headers = {**TAR, "X-Registry-Config": encode_auth(auths), **(context.headers if context else {})}
        if context:
            request = replace(request, dockerfile=context.dockerfile)
        chunks, query = context.chunks if context else None, request.to_query()
        lines = self._transport.lines("POST", "/build", query, body=chunks, headers=headers, cancellation=cancellation)
        image, steps = "", list["BuildStep"]()
        for message in messages(lines):
            if isinstance(message, Aux) and "ID" in message.value:
                image = str(message.value["ID"])
            elif isinstance(message, Aux) and "Step" in message.value:
                steps.append(_step(message.value["Step"]))
            elif isinstance(message, Output) and message.text.startswith("sha256:"):
                image = message.text.strip()  # all that a quiet build says
            report(message)
        if not image:
            raise CommandFailed("the build ended without an image", exit_code=1)
        return SentBuild(image, tuple(steps))

    def prune(
        self,
        filters: Filters | None = None,
        *,
        all: bool = False,
        reserved: int = 0,
        cancellation: Cancellation = NEVER,
    ) -> Pruned:
        query = {"filters": filters or None, "all": all, "reserved-space": reserved or None}
        return Pruned(self._transport.json("POST", "/build/prune", query, cancellation=cancellation) or {})

    def _context(
        self, context: str | os.PathLike[str] | MemoryContext | None, request: BuildRequest
    ) -> BuildContext | None:
        from lamina.client.context import directory_context, in_place_context

        if context is None:
            if not request.remote:
                raise InvalidInput("there is nothing to build", advice="Give a context, or an address in `remote`")
            return None
        if isinstance(context, str | os.PathLike):
            make = in_place_context if self._reads_in_place() else directory_context
            return make(os.fspath(context), request.dockerfile)
        return BuildContext(iter([context.to_tar()]), request.dockerfile or "Dockerfile")


def _step(document: Mapping[str, Any]) -> BuildStep:
    from lamina.api.build_steps import BuildStep

    return BuildStep.from_json(document)
