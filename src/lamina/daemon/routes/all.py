"""All endpoints of the API over one engine, with those of swarms, which are refused."""

from __future__ import annotations

from aiohttp import web

from lamina.daemon.config import Options
from lamina.daemon.http.call import Call
from lamina.daemon.http.routing import Route
from lamina.daemon.routes.build import BuildRoutes
from lamina.daemon.routes.containers import ContainerRoutes
from lamina.daemon.routes.exec import ExecRoutes
from lamina.daemon.routes.images import ImageRoutes
from lamina.daemon.routes.networks import NetworkRoutes
from lamina.daemon.routes.registries import RegistryRoutes
from lamina.daemon.routes.streams import StreamRoutes
from lamina.daemon.routes.system import SystemRoutes
from lamina.daemon.routes.volumes import VolumeRoutes
from lamina.engine import Engine
from lamina.errors import Unavailable, Unsupported

_KINDS = ("services", "tasks", "nodes", "secrets", "configs")


def all_routes(engine: Engine, options: Options) -> list[Route]:
    """Return the whole API."""
    containers, registries = engine.containers, engine.registries
    return [
        *SystemRoutes(engine, debug=options.debug).routes(),
        *ImageRoutes(engine.images, registries, engine.root).routes(),
        *ContainerRoutes(containers).routes(),
        *StreamRoutes(containers).routes(),
        *ExecRoutes(containers).routes(),
        *BuildRoutes(engine.builds).routes(),
        *RegistryRoutes(registries).routes(),
        *NetworkRoutes(lambda: engine.networks, containers).routes(),
        *VolumeRoutes(engine.volumes).routes(),
        *SwarmRoutes().routes(),
    ]


class SwarmRoutes:
    """Swarm's endpoints: this engine is in none, and clients hear what dockerd tells them outside of a swarm."""

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
