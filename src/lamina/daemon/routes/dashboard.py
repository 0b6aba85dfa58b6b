"""`/dashboard/links`: links that open the daemon's dashboard. The endpoint is lamina's own."""

from __future__ import annotations

from aiohttp import web

from lamina.daemon.http.call import Call, reply
from lamina.daemon.http.routing import Route
from lamina.dashboard.server import Dashboard
from lamina.errors import NotFound


class DashboardRoutes:
    """The endpoints of the dashboard, where the daemon serves one."""

    def __init__(self, dashboard: Dashboard | None) -> None:
        self._dashboard = dashboard

    def routes(self) -> list[Route]:
        return [Route("POST", "/dashboard/links", self.new_link)]

    async def new_link(self, call: Call) -> web.StreamResponse:
        """Make a link. Who may use this API may use the dashboard: it can do no more."""
        if self._dashboard is None:
            raise NotFound("the daemon serves no dashboard", advice="Start it with --dashboard 127.0.0.1:PORT")
        return reply({"Link": self._dashboard.link()}, 201)
