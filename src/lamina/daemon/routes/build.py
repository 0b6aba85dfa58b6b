"""`/build`: the classic builder and its cache. Builds of BuildKit's clients go to `daemon/buildkit`."""

from __future__ import annotations

import io
import os
from base64 import b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote_to_bytes

import msgspec
from aiohttp import web

from lamina.api.build import BuildRequest
from lamina.builder.builder import BuildResult
from lamina.builder.context.source import BuildContext, ContextPart, from_directory
from lamina.cancellation import Cancellation
from lamina.credentials import Credentials
from lamina.daemon.http.call import Call, reply
from lamina.daemon.http.decoding import config_header
from lamina.daemon.http.routing import Route
from lamina.daemon.http.stream import progress_response
from lamina.daemon.http.upload import Upload
from lamina.daemon.routes.build_content import BuildContentRoutes
from lamina.daemon.routes.build_parts import receiving_parts
from lamina.daemon.routes.buildkit import BuildKitRoutes
from lamina.dockerfile.syntax import MAX_SIZE
from lamina.engine.build_client import BuildClient
from lamina.engine.builds import Builds
from lamina.errors import Forbidden, InvalidInput
from lamina.layers.tar.source import Readable
from lamina.progress import Aux, Message, Report

# A client on the same machine may name the directory instead of sending it. The path is percent-encoded UTF-8; a body,
# where there is one, is the Dockerfile to use.
CONTEXT_HEADER = "X-Lamina-Context"


class BuildRoutes:
    """The endpoints of builds."""

    def __init__(self, builds: Builds, buildkit: BuildKitRoutes) -> None:
        self._builds = builds
        self._buildkit = buildkit
        self._content = BuildContentRoutes()

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/build", self.build),
            Route("POST", "/build/prune", self.prune),
            Route("POST", "/images/{name*}/squash", self.squash),
            *self._content.routes(),
        ]

    async def build(self, call: Call) -> web.StreamResponse:
        request = BuildRequest.from_query(call.query)
        _check_supported(request)
        if request.version == "2":
            return await self._buildkit.build(call, request)
        self._buildkit.check_entitled(request.allow)
        credentials = config_header(call.request.headers.get("X-Registry-Config", ""))
        caller = call.caller()

        async with receiving_parts(call, self._builds) as parts:
            open_context = self._opener(call, parts.upload, request)
            if request.call:
                return reply(await call.run_cancellable(self._answer, open_context, request, credentials))

            def work(report: Report, cancellation: Cancellation) -> BuildResult:
                def take(number: int, data: bytes | None) -> None:
                    told = {} if data is None else {"Data": b64encode(data).decode()}
                    report(Aux({"Output": number, **told}))

                folders = self._content.folders(report, cancellation)
                client = BuildClient.with_logins(credentials, report, cancellation, folders)
                with (
                    open_context(cancellation) as context,
                    self._builds.inputs.opened(request, client, parts.inputs(caller)) as client,
                ):
                    return self._builds.results.export(context, request, take, client)

            return await progress_response(call, work, done=_metadata)

    def _answer(
        self,
        open_context: Callable[[Cancellation], BuildContext],
        request: BuildRequest,
        credentials: Mapping[str, Credentials],
        *,
        cancellation: Cancellation,
    ) -> Any:
        """Return what is asked for instead of an image, as JSON values."""
        with open_context(cancellation) as context:
            result = self._builds.answer(context, request, credentials=credentials, cancellation=cancellation)
            return msgspec.to_builtins(result)

    def _opener(
        self, call: Call, upload: Upload | None, request: BuildRequest
    ) -> Callable[[Cancellation], BuildContext]:
        """Return how the worker thread gets at the context: from the caller's directory, a URL, or the body."""
        dockerfile, remote = call.file_name("dockerfile"), request.remote
        named = call.request.headers.get(CONTEXT_HEADER)
        if named is not None:
            caller = call.caller()
            if caller is None:
                raise Forbidden(f"{CONTEXT_HEADER} works over a unix socket only")
            root = Path(os.fsdecode(unquote_to_bytes(named)))
            if not root.is_absolute():
                raise InvalidInput(f"{CONTEXT_HEADER}: {named!r} is not an absolute path")

            def open_directory(cancellation: Cancellation) -> BuildContext:
                raw = upload.whole(MAX_SIZE) if upload is not None else None
                return from_directory(root, dockerfile, raw_dockerfile=raw or None, caller=caller)

            return open_directory
        if remote:
            return lambda token: self._builds.remote_context(remote, ContextPart(dockerfile), cancellation=token)
        tar = cast(Readable, upload or io.BytesIO())
        return lambda token: self._builds.archive_context(tar, dockerfile, cancellation=token)

    async def squash(self, call: Call) -> web.StreamResponse:
        """Make fewer layers of an image's: `how`, `base`, and names in `t`. This endpoint is lamina's own."""
        image = await call.run_cancellable(
            self._builds.squash,
            call.places["name"],
            call.text("how") or "all",
            base=call.text("base"),
            tags=call.texts("t"),
        )
        return reply({"Id": str(image.id)}, 201)

    async def prune(self, call: Call) -> web.StreamResponse:
        """Sizes are in bytes. What later versions call `reserved-space`, those before 1.48 call `keep-storage`."""
        names = ("keep-storage", "reserved-space", "max-used-space", "min-free-space")
        sizes = {name: max(0, call.number(name) or 0) for name in (names if call.version >= (1, 48) else names[:1])}
        pruned = await call.run_cancellable(
            self._builds.prune,
            call.filters(),
            all=call.flag("all"),
            reserved=max(sizes["keep-storage"], sizes.get("reserved-space", 0)),
            max_used=sizes.get("max-used-space", 0),
            min_free=sizes.get("min-free-space", 0),
        )
        return reply({"CachesDeleted": list(pruned.removed) or None, "SpaceReclaimed": pruned.reclaimed})


def _metadata(result: BuildResult) -> list[Message]:
    return [Aux({"Metadata": dict(result.metadata)})] if result.metadata else []


def _check_supported(request: BuildRequest) -> None:
    """Raise InvalidInput for choices that no build here can have."""
    if request.version not in ("", "1", "2"):
        raise InvalidInput(f'invalid version "{request.version}"')
    if request.isolation not in ("", "default"):
        raise InvalidInput(f'Unsupported isolation: "{request.isolation}"', advice="Leave it out on Linux.")
    if request.security_options:
        raise InvalidInput("security options are not supported on linux")
