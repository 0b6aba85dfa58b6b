"""`/distribution/{name}/json`: what a registry says of an image, and `/auth`: whether credentials are good."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from lamina.daemon.http.admission import Kind
from lamina.daemon.http.auth import AuthConfig, auth_header
from lamina.daemon.http.call import Call, reply
from lamina.daemon.http.routing import Route
from lamina.engine import Engine
from lamina.errors import InvalidInput
from lamina.formats.reference import Reference


class DistributionRoutes:
    """The handlers over one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/distribution/{name*}/json", self.inspect, Kind.WORK),
            Route("POST", "/auth", self.login),
        ]

    async def inspect(self, call: Call) -> web.StreamResponse:
        credentials = auth_header(call.request.headers.get("X-Registry-Auth", ""))
        reference = Reference.parse(call.places["name"])
        found = await call.run(self._engine.inspect_remote, reference, credentials=credentials)
        platforms: list[dict[str, Any]] = [item.to_json() for item in found.platforms]
        return reply({"Descriptor": found.descriptor.to_json(), "Platforms": platforms})

    async def login(self, call: Call) -> web.StreamResponse:
        given = await call.json(AuthConfig)
        credentials = given.credentials()
        if credentials is None:
            raise InvalidInput("a user name and a password are needed to log in")
        kept = await call.run(self._engine.login, given.serveraddress, credentials)
        token = kept.identity_token if kept.identity_token != credentials.identity_token else ""
        return reply({"Status": "Login Succeeded", "IdentityToken": token})
