"""Everything that is served to BuildKit's clients on one connection."""

from __future__ import annotations

from lamina.daemon.buildkit.bridge import Bridge
from lamina.daemon.buildkit.builds import Builds
from lamina.daemon.buildkit.control import Control
from lamina.daemon.buildkit.history_content import HistoryContent
from lamina.daemon.buildkit.messages.session import Empty
from lamina.daemon.buildkit.rpc import Call, Server
from lamina.daemon.buildkit.sessions import Sessions
from lamina.daemon.buildkit.solver import Solver
from lamina.daemon.buildkit.tunnel import Tunnels
from lamina.engine import Engine

_HEALTHY = b"\0\0\0\0\2\x08\x01"  # HealthCheckResponse with the status SERVING


def server(engine: Engine, sessions: Sessions, entitlements: frozenset[str]) -> Server:
    """Return what answers the calls of all clients of `engine`, who may ask for `entitlements`."""
    solver = Solver(engine, entitlements)
    builds = Builds(solver, sessions)
    control = Control(solver, sessions, builds, engine.info().id)
    bridge = Bridge(solver, builds, control)
    return Server(
        {
            **control.methods(),
            **bridge.methods(),
            **HistoryContent(engine.builds.history).methods(),
            **Tunnels(sessions).methods(),
            "/grpc.health.v1.Health/Check": healthy,
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export": accepted,
        }
    )


async def healthy(call: Call) -> None:
    """Answer that the service works."""
    await call.receive_batch()
    await call.stream.send(_HEALTHY)


async def accepted(call: Call) -> None:
    """Accept traces of a client. They are not kept."""
    while await call.receive_batch():
        continue
    await call.send(Empty())
