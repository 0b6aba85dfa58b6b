"""A client that drives a build of a daemon over the gateway, with a session through the same connection."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from lamina.daemon.buildkit.messages import control, gateway
from lamina.daemon.buildkit.messages.session import Empty, Stat
from lamina.daemon.buildkit.messages.status import StatusResponse
from lamina.daemon.buildkit.protobuf import Message
from lamina.daemon.buildkit.rpc import Caller, Method
from support.buildkit import DOCKERFILE, grpc, sharing, tunnelled
from support.daemons import Daemon

M = TypeVar("M", bound=Message)
CONTROL = "/moby.buildkit.v1.Control/"
GATEWAY = "/moby.buildkit.v1.frontend.LLBBridge/"
FOLDER = 1 << 31
LISTING = [Stat("d", FOLDER | 0o755), Stat("d/f", 0o640, size=6), Stat("g", 0o644, size=1)]
CONTENTS = {"d/f": b"inside", "g": b"x"}


class Driver:
    """One build that the client drives."""

    def __init__(self, caller: Caller, session: str) -> None:
        self.caller = caller
        self.session = session
        self.ref = uuid.uuid4().hex

    def begin(
        self, *exporters: control.Exporter, frontend: str = "", cache: control.CacheOptions | None = None
    ) -> asyncio.Task[control.SolveResponse]:
        request = control.SolveRequest(
            self.ref, session=self.session, frontend=frontend, exporters=exporters, cache=cache
        )
        return asyncio.ensure_future(self.caller.unary(f"{CONTROL}Solve", request, control.SolveResponse))

    async def ask(self, method: str, request: Message, kind: type[M]) -> M:
        call = self.caller.open(GATEWAY + method, [("buildkit-controlapi-buildid", self.ref)])
        await call.send(request)
        call.finish()
        return await call.one(kind)

    async def request(self, id: str, **attributes: str) -> Mapping[str, bytes]:
        """What the frontend answers to a request."""
        request = gateway.SolveRequest(frontend="dockerfile.v0", attributes={"requestid": id, **attributes})
        answer = await self.ask("Solve", request, gateway.SolveResponse)
        assert answer.result is not None
        return answer.result.metadata

    async def solve(self, **attributes: str) -> str:
        request = gateway.SolveRequest(frontend="dockerfile.v0", attributes=attributes)
        answer = await self.ask("Solve", request, gateway.SolveResponse)
        assert answer.result is not None
        assert answer.result.ref is not None
        return answer.result.ref.id

    async def history(self) -> dict[str, control.HistoryRecord]:
        """What the daemon remembers of builds, by their refs."""
        call = self.caller.open(f"{CONTROL}ListenBuildHistory")
        await call.send(control.HistoryRequest(early_exit=True))
        call.finish()
        records = []
        while batch := await call.receive_batch():
            records += [control.HistoryEvent.decode(raw).record for raw in batch]
        return {record.ref: record for record in records if record is not None}

    async def news(self) -> list[StatusResponse]:
        """All that was told of the build, which has ended."""
        call = self.caller.open(f"{CONTROL}Status")
        await call.send(control.StatusRequest(self.ref))
        call.finish()
        news = []
        while batch := await call.receive_batch():
            news += [StatusResponse.decode(raw) for raw in batch]
        return news

    async def give_back(self, id: str = "", error: control.Status | None = None) -> None:
        result = gateway.Result(ref=gateway.Ref(id)) if id else None
        await self.ask("Return", gateway.ReturnRequest(result, error), Empty)


def drive(
    daemon: Daemon,
    use: Callable[[Driver], Awaitable[None]],
    *,
    upgrade: bool = True,
    dockerfile: bytes = DOCKERFILE,
    ignore: bytes = b"",
    methods: Mapping[str, Method] | None = None,
) -> None:
    """Run `use` with a build that may begin. Its session, on the same connection, has these `methods` too."""

    async def main() -> None:
        async with grpc(daemon.socket, upgrade=upgrade) as caller:
            id = uuid.uuid4().hex
            async with tunnelled(caller, id, {**sharing(LISTING, CONTENTS, dockerfile, ignore), **(methods or {})}):
                await use(Driver(caller, id))

    asyncio.run(asyncio.wait_for(main(), 60))
