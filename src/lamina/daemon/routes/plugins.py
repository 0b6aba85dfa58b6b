"""`/plugins`: there are none, and none can be installed. Tools ask for the list and go on when it is empty."""

from __future__ import annotations

from aiohttp import web

from lamina.daemon.http.call import Call, reply
from lamina.daemon.http.routing import Route
from lamina.errors import NotFound, Unsupported
from lamina.formats.matching import check_names

_FILTERS = frozenset({"enabled", "capability"})


class PluginRoutes:
    """The endpoints of plugins."""

    def routes(self) -> list[Route]:
        verbs = ("enable", "disable", "push", "set", "upgrade")
        return [
            Route("GET", "/plugins", self.list),
            Route("GET", "/plugins/privileges", self.unsupported),
            Route("POST", "/plugins/pull", self.unsupported),
            Route("POST", "/plugins/create", self.unsupported),
            Route("GET", "/plugins/{name*}/json", self.unknown),
            *(Route("POST", f"/plugins/{{name*}}/{verb}", self.unknown) for verb in verbs),
            Route("DELETE", "/plugins/{name*}", self.unknown),
        ]

    async def list(self, call: Call) -> web.StreamResponse:
        check_names(call.filters(), _FILTERS)
        return reply([])

    async def unknown(self, call: Call) -> web.StreamResponse:
        name = call.places["name"]
        raise NotFound(f'plugin "{name}" not found', plugin=name)

    async def unsupported(self, call: Call) -> web.StreamResponse:
        raise Unsupported("plugins are not supported", advice="Run what the plugin does as a container")
