"""All endpoints of the API over one engine."""

from __future__ import annotations

from lamina.daemon.config import Options
from lamina.daemon.http.routing import Route
from lamina.daemon.routes.build import BuildRoutes
from lamina.daemon.routes.build_history import BuildHistoryRoutes
from lamina.daemon.routes.buildkit import BuildKitRoutes
from lamina.daemon.routes.cache_mounts import CacheMountRoutes
from lamina.daemon.routes.containers import ContainerRoutes
from lamina.daemon.routes.dashboard import DashboardRoutes
from lamina.daemon.routes.exec import ExecRoutes
from lamina.daemon.routes.explorer import ExplorerRoutes
from lamina.daemon.routes.images import ImageRoutes
from lamina.daemon.routes.networks import NetworkRoutes
from lamina.daemon.routes.plugins import PluginRoutes
from lamina.daemon.routes.registries import RegistryRoutes
from lamina.daemon.routes.streams import StreamRoutes
from lamina.daemon.routes.swarm import SwarmRoutes
from lamina.daemon.routes.system import SystemRoutes
from lamina.daemon.routes.volumes import VolumeRoutes
from lamina.dashboard.server import Dashboard
from lamina.engine import Engine


def all_routes(
    engine: Engine, options: Options, buildkit: BuildKitRoutes, dashboard: Dashboard | None = None
) -> list[Route]:
    """Return the whole API."""
    containers, registries = engine.containers, engine.registries
    return [
        *SystemRoutes(engine, debug=options.debug).routes(),
        *ExplorerRoutes(engine.explorer).routes(),
        *ImageRoutes(engine.images, registries, engine.root).routes(),
        *ContainerRoutes(containers).routes(),
        *StreamRoutes(containers).routes(),
        *ExecRoutes(containers).routes(),
        *BuildRoutes(engine.builds, buildkit).routes(),
        *BuildHistoryRoutes(engine.builds).routes(),
        *CacheMountRoutes(engine.builds).routes(),
        *buildkit.routes(),
        *RegistryRoutes(registries).routes(),
        *NetworkRoutes(lambda: engine.networks, containers).routes(),
        *VolumeRoutes(engine.volumes).routes(),
        *PluginRoutes().routes(),
        *DashboardRoutes(dashboard).routes(),
        *SwarmRoutes().routes(),
    ]
