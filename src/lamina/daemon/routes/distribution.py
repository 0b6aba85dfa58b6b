"""`/distribution/{name}/json`: what a registry says of an image, and `/auth`: whether credentials are good."""

from __future__ import annotations

from typing import Any, Protocol

from aiohttp import web

from lamina.daemon.http.auth import AuthConfig, auth_header
from lamina.daemon.http.call import Call, reply
from lamina.daemon.http.routing import Route
from lamina.distribution.client import Credentials
from lamina.distribution.client.inspect import Inspected
from lamina.errors import InvalidInput
from lamina.formats.reference import Reference


class Backend(Protocol):
    """What this group needs of the engine."""

    def inspect_remote(self, reference: Reference, *, credentials: Credentials | None = None) -> Inspected: ...

    def login(self, server: str, credentials: Credentials) -> Credentials:
        """What to keep: the same, or an identity token. Raises Unauthorized."""


class DistributionRoutes:
    """The handlers over one backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/distribution/{name*}/json", self.inspect),
            Route("POST", "/auth", self.login),
        ]

    async def inspect(self, call: Call) -> web.StreamResponse:
        credentials = auth_header(call.request.headers.get("X-Registry-Auth", ""))
        reference = Reference.parse(call.places["name"])
        found = await call.run(self._backend.inspect_remote, reference, credentials=credentials)
        platforms: list[dict[str, Any]] = [item.to_json() for item in found.platforms]
        return reply({"Descriptor": found.descriptor.to_json(), "Platforms": platforms})

    async def login(self, call: Call) -> web.StreamResponse:
        given = await call.json(AuthConfig)
        credentials = given.credentials()
        if credentials is None:
            raise InvalidInput("a user name and a password are needed to log in")
        kept = await call.run(self._backend.login, given.serveraddress, credentials)
        token = kept.identity_token if kept.identity_token != credentials.identity_token else ""
        return reply({"Status": "Login Succeeded", "IdentityToken": token})
