"""BuildKit's endpoints: `/session`, and `/build?version=2` for clients that have one."""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import msgspec
from aiohttp import web

from lamina.api.build import BuildOutput, BuildRequest
from lamina.cancellation import Cancellation
from lamina.daemon.http.admission import Kind
from lamina.daemon.http.call import Call, dump, empty
from lamina.daemon.http.routing import Route
from lamina.daemon.http.stream import Pipe, lines_response
from lamina.daemon.http.upload import Upload, receiving
from lamina.engine import Engine
from lamina.errors import Forbidden, InvalidInput
from lamina.layers.tar.source import Readable

if TYPE_CHECKING:
    from lamina.builder.context.source import BuildContext
    from lamina.daemon.buildkit.frontend import Client
    from lamina.daemon.buildkit.http2 import Http2
    from lamina.daemon.buildkit.jobs import Job, Jobs
    from lamina.daemon.buildkit.messages.status import StatusResponse
    from lamina.daemon.buildkit.rpc import Server
    from lamina.daemon.buildkit.sessions import Session, Sessions
    from lamina.daemon.buildkit.solver import Solver

_CLIENT_SESSION = "client-session"


class BuildKitRoutes:
    """The endpoints. What they need is imported when the first client speaks BuildKit's protocol."""

    def __init__(self, engine: Engine, entitlements: frozenset[str]) -> None:
        """`entitlements` are what the builds of clients may ask for."""
        self._engine = engine
        self._entitlements = entitlements

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/session", self.session, Kind.STREAM),
            Route("POST", "/grpc", self.grpc, Kind.STREAM),
            Route("POST", "/build/cancel", self.cancel),
        ]

    @cached_property
    def _sessions(self) -> Sessions:
        from lamina.daemon.buildkit.sessions import Sessions

        return Sessions()

    @cached_property
    def _jobs(self) -> Jobs:
        from lamina.daemon.buildkit.jobs import Jobs

        return Jobs()

    async def cancel(self, call: Call) -> web.StreamResponse:
        """Cancel a build by its ID. Other builds end when their client goes away."""
        id = call.text("id")
        if not id:
            raise InvalidInput("build ID not provided")
        self._jobs.cancel(id)
        return empty()

    async def session(self, call: Call) -> web.StreamResponse:
        """Take the connection over: from now on the daemon calls the client on it."""
        from lamina.daemon.buildkit.connection import until_closed, upgrade
        from lamina.daemon.buildkit.sessions import Session

        headers = call.request.headers
        id = headers.get("X-Docker-Expose-Session-Uuid", "")
        if not id:
            raise InvalidInput("the session has no ID")
        connection = upgrade(call)
        methods = headers.getall("X-Docker-Expose-Session-Grpc-Method", [])
        session = Session(connection, id, headers.get("X-Docker-Expose-Session-Sharedkey", ""), methods)
        await self._sessions.add(session)
        try:
            return await until_closed(connection)
        finally:
            self._sessions.remove(session)

    @cached_property
    def _server(self) -> Server:
        """Return what answers the calls of clients. Its builds outlive the connection that asked for them."""
        from lamina.daemon.buildkit.services import server

        return server(self._engine, self._sessions, self._entitlements)

    def http2(self, transport: asyncio.Transport) -> Http2:
        """Serve gRPC on a connection that speaks HTTP/2 from its beginning."""
        from lamina.daemon.buildkit.http2 import Http2

        return Http2(transport, self._server.accept)

    async def grpc(self, call: Call) -> web.StreamResponse:
        """Take the connection over, and serve gRPC on it."""
        from lamina.daemon.buildkit.connection import until_closed, upgrade

        return await until_closed(upgrade(call, self._server.accept))

    def check_entitled(self, names: Iterable[str]) -> None:
        """Raise Forbidden for an entitlement that no build here may have."""
        for name in sorted(names):
            if name.partition("=")[0] not in self._entitlements:
                raise Forbidden(
                    f"{name} is not allowed by build daemon configuration",
                    advice="Allow it by the key builder.entitlements of daemon.json.",
                )

    async def build(self, call: Call, request: BuildRequest) -> web.StreamResponse:
        """Build with the client's session, if it has one. Progress comes as BuildKit's own messages, in base64."""
        from lamina.daemon.buildkit.jobs import UPLOAD

        self.check_entitled(request.needs)
        id = call.text("buildid")
        if id.startswith(f"{UPLOAD}:"):
            async with receiving(call.request.content) as upload:
                await self._jobs.bring(id.partition(":")[2], upload)
            return empty(200)
        cancellation = Cancellation()
        with self._jobs.enter(id, cancellation) as job:
            session = await self._sessions.find(call.text("session"))
            async with self._context(call, request, job) as upload:
                return await lines_response(call, self._work(call, request, session, upload), cancellation)

    @asynccontextmanager
    async def _context(self, call: Call, request: BuildRequest, job: Job) -> AsyncIterator[Upload | None]:
        """Receive the context: from the request's own body, or from another request of this build.

        None where it is behind an address or in the client's folders. Rule: moby, builder/builder-next, Build.
        """
        from lamina.daemon.buildkit.jobs import UPLOAD

        if request.remote == UPLOAD:
            yield await self._jobs.fetch(job)
        elif request.remote:
            yield None
        else:
            async with receiving(call.request.content) as upload:
                yield upload

    def _work(
        self, call: Call, request: BuildRequest, session: Session | None, upload: Upload | None
    ) -> Callable[[Pipe], None]:
        """Return the work of one build. Raise InvalidInput for outputs that cannot be understood."""
        from lamina.builder.attestations.facts import BuildFacts
        from lamina.builder.attestations.options import AttestationOptions
        from lamina.builder.cache_exchange.cache_options import cache_targets
        from lamina.builder.history.recorder import options_of
        from lamina.daemon.buildkit.frontend import Client, Source
        from lamina.daemon.buildkit.history import recorded
        from lamina.daemon.buildkit.solver import Solver
        from lamina.daemon.buildkit.vertices import Vertices

        named = BuildOutput("moby", {"name": ",".join(request.tags)})
        outputs = list(request.outputs) or [named]
        untagged = msgspec.structs.replace(request, tags=(), outputs=())
        targets = cache_targets(request.cache_exports)
        source = Source("" if request.remote == _CLIENT_SESSION else request.remote, request.dockerfile)
        solver = Solver(self._engine)

        def work(pipe: Pipe) -> None:
            def send(status: StatusResponse) -> None:
                pipe.write(_line("moby.buildkit.trace", base64.b64encode(status.encode()).decode()))

            ref = uuid.uuid4().hex
            with recorded(solver.builds, ref, options_of(request), send) as (hear, response):
                client = Client(session, solver.builds.temporary, Vertices(ref, hear), pipe.cancellation)
                result = solver.build(client, untagged, source, context=_received(client, solver, upload, request))
                response |= solver.write(result, outputs, client, BuildFacts({}), AttestationOptions(), targets)
            index = response.get("containerimage.digest") if len(result.images) > 1 else None
            pipe.write(_line("moby.image.id", {"ID": index or str(result.images[0].image.id)}))

        return work


def _received(client: Client, solver: Solver, upload: Upload | None, request: BuildRequest) -> BuildContext | None:
    """Return the context that the request brought as a stream, None where the client has it."""
    if upload is None:
        return None
    readable = cast(Readable, upload)
    from lamina.builder.context.source import ContextPart

    part = ContextPart(request.dockerfile)
    with client.vertices.step("[internal] load remote build context"):
        return solver.builds.stream_context(readable, part, cancellation=client.cancellation)


def _line(id: str, value: Any) -> bytes:
    return dump({"id": id, "aux": value})
