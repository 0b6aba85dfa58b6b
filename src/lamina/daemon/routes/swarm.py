"""Swarm's endpoints: this engine is in none, which clients are told as dockerd tells it outside of a swarm."""

from __future__ import annotations

from aiohttp import web

from lamina.daemon.http.call import Call
from lamina.daemon.http.routing import Route
from lamina.errors import Unavailable, Unsupported

_KINDS = ("services", "tasks", "nodes", "secrets", "configs")


class SwarmRoutes:
    """The handlers; they need no backend."""

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
            Route("POST", "/swarm/unlock", self.no_manager),
            *kinds,
        ]

    async def unsupported(self, call: Call) -> web.StreamResponse:
        raise Unsupported("swarms are not supported", advice="Use an orchestrator that drives single engines")

    async def no_member(self, call: Call) -> web.StreamResponse:
        raise Unavailable("This node is not part of a swarm")

    async def no_manager(self, call: Call) -> web.StreamResponse:
        raise Unavailable("This node is not a swarm manager. Swarms are not supported")
