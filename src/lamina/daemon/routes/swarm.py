"""Swarm's endpoints: this engine is in none, and clients hear what dockerd tells them outside of a swarm."""

from __future__ import annotations

from aiohttp import web

from lamina.daemon.http.call import Call
from lamina.daemon.http.routing import Route
from lamina.errors import Conflict, Unavailable, Unsupported

_KINDS = ("services", "tasks", "nodes", "secrets", "configs")


class SwarmRoutes:
    """The endpoints of swarms. The sentences are those of moby, `daemon/cluster/errors.go`, which tools match."""

    def routes(self) -> list[Route]:
        kinds = [
            route
            for kind in _KINDS
            for route in (
                Route("GET", f"/{kind}", self.no_manager),
                Route("GET", f"/{kind}/{{rest*}}", self.no_manager),
                Route("POST", f"/{kind}/{{rest*}}", self.no_manager),
                Route("DELETE", f"/{kind}/{{rest*}}", self.no_manager),
            )
        ]
        return [
            Route("POST", "/swarm/init", self.unsupported),
            Route("POST", "/swarm/join", self.unsupported),
            Route("POST", "/swarm/leave", self.no_member),
            Route("GET", "/swarm", self.no_manager),
            Route("GET", "/swarm/unlockkey", self.no_manager),
            Route("POST", "/swarm/update", self.no_manager),
            Route("POST", "/swarm/unlock", self.not_locked),
            Route("PUT", "/volumes/{name}", self.no_manager),  # updates volumes of a cluster only
            *kinds,
        ]

    async def unsupported(self, call: Call) -> web.StreamResponse:
        raise Unsupported("swarms are not supported", advice="Use an orchestrator that drives single engines")

    async def no_member(self, call: Call) -> web.StreamResponse:
        raise Unavailable("This node is not part of a swarm")

    async def not_locked(self, call: Call) -> web.StreamResponse:
        raise Conflict("swarm is not locked")

    async def no_manager(self, call: Call) -> web.StreamResponse:
        raise Unavailable(
            'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to '
            "swarm and try again."
        )
