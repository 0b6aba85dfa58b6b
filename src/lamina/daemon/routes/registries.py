"""What registries say: `/distribution/{name}/json` of an image, `/auth` of credentials, `/images/search`."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from lamina.daemon.http.admission import Kind
from lamina.daemon.http.call import Call, reply
from lamina.daemon.http.decoding import AuthConfig, auth_header, without_prompts
from lamina.daemon.http.routing import Route
from lamina.distribution import SearchResult
from lamina.engine.registries import Registries
from lamina.errors import InvalidInput

_RESULTS = 25  # of a search


class RegistryRoutes:
    """The endpoints of registries."""

    def __init__(self, registries: Registries) -> None:
        self._registries = registries

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/distribution/{name*}/json", self.inspect, Kind.WORK),
            Route("POST", "/auth", self.login),
            Route("GET", "/images/search", self.search, Kind.WORK),
        ]

    async def inspect(self, call: Call) -> web.StreamResponse:
        credentials = auth_header(call.request.headers.get("X-Registry-Auth", ""))
        image = await call.run(self._registries.inspect, call.places["name"], credentials=credentials)
        platforms: list[dict[str, Any]] = [item.to_json() for item in image.platforms]
        return reply({"Descriptor": image.descriptor.to_json(), "Platforms": platforms})

    async def login(self, call: Call) -> web.StreamResponse:
        auth = await call.json(AuthConfig)
        credentials = auth.credentials()
        if credentials is None:
            raise InvalidInput("a user name and a password are needed to log in")
        login = await call.run(self._registries.login, auth.serveraddress, credentials)
        token = login.identity_token if login.identity_token != credentials.identity_token else ""
        return reply({"Status": "Login Succeeded", "IdentityToken": token})

    async def search(self, call: Call) -> web.StreamResponse:
        limit = call.number("limit")
        credentials = auth_header(call.request.headers.get("X-Registry-Auth", ""))
        with without_prompts():
            results = await call.run(
                self._registries.search,
                call.text("term"),
                limit=_RESULTS if limit is None else limit,
                filters=call.filters(),
                credentials=credentials,
            )
        return reply([_result(item) for item in results])


def _result(item: SearchResult) -> dict[str, Any]:
    return {
        "star_count": item.stars,
        "is_official": item.official,
        "name": item.name,
        "is_automated": item.automated,
        "description": item.description,
    }
