"""All groups of endpoints over one engine."""

from __future__ import annotations

from lamina.daemon.config import Options
from lamina.daemon.http.routing import Route
from lamina.daemon.routes.build import BuildRoutes
from lamina.daemon.routes.commit import CommitRoutes
from lamina.daemon.routes.containers import ContainerRoutes
from lamina.daemon.routes.distribution import DistributionRoutes
from lamina.daemon.routes.exec import ExecRoutes
from lamina.daemon.routes.images import ImageRoutes
from lamina.daemon.routes.networks import NetworkRoutes
from lamina.daemon.routes.streams import StreamRoutes
from lamina.daemon.routes.swarm import SwarmRoutes
from lamina.daemon.routes.system import SystemRoutes
from lamina.daemon.routes.volumes import VolumeRoutes
from lamina.engine import Engine


def all_routes(engine: Engine, options: Options) -> list[Route]:
    """The whole API."""
    return [
        *SystemRoutes(engine, debug=options.debug).routes(),
        *ImageRoutes(engine).routes(),
        *CommitRoutes(engine).routes(),
        *ContainerRoutes(engine).routes(),
        *StreamRoutes(engine).routes(),
        *ExecRoutes(engine).routes(),
        *BuildRoutes(engine).routes(),
        *DistributionRoutes(engine).routes(),
        *NetworkRoutes(engine).routes(),
        *VolumeRoutes(engine).routes(),
        *SwarmRoutes().routes(),
    ]
