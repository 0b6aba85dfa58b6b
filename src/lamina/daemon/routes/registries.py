"""What registries say: `/distribution/{name}/json` of an image, `/auth` of credentials, `/images/search`."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from lamina.daemon.http.admission import Kind
from lamina.daemon.http.call import Call, reply
from lamina.daemon.http.decoding import AuthConfig, auth_header, flag, without_prompts
from lamina.daemon.http.routing import Route
from lamina.distribution import Found
from lamina.engine.registries import Registries
from lamina.errors import InvalidInput
from lamina.formats.matching import Filters
from lamina.formats.reference import Reference

_FOUND, _MOST_FOUND = 25, 100  # results of a search


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
        reference = Reference.parse(call.places["name"])
        found = await call.run(self._registries.inspect, reference, credentials=credentials)
        platforms: list[dict[str, Any]] = [item.to_json() for item in found.platforms]
        return reply({"Descriptor": found.descriptor.to_json(), "Platforms": platforms})

    async def login(self, call: Call) -> web.StreamResponse:
        given = await call.json(AuthConfig)
        credentials = given.credentials()
        if credentials is None:
            raise InvalidInput("a user name and a password are needed to log in")
        kept = await call.run(self._registries.login, given.serveraddress, credentials)
        token = kept.identity_token if kept.identity_token != credentials.identity_token else ""
        return reply({"Status": "Login Succeeded", "IdentityToken": token})

    async def search(self, call: Call) -> web.StreamResponse:
        term = call.text("term")
        filters = call.filters()
        limit = call.number("limit")
        limit = _FOUND if limit is None else limit
        if not 1 <= limit <= _MOST_FOUND:
            raise InvalidInput(f"Limit {limit} is outside the range of [1, {_MOST_FOUND}]")
        credentials = auth_header(call.request.headers.get("X-Registry-Auth", ""))
        with without_prompts():
            found = await call.run(self._registries.search, term, limit=limit, credentials=credentials)
        return reply([_found(item) for item in found if _wanted(item, filters)])


def _found(item: Found) -> dict[str, Any]:
    return {
        "star_count": item.stars,
        "is_official": item.official,
        "name": item.name,
        "is_automated": item.automated,
        "description": item.description,
    }


def _wanted(item: Found, filters: Filters) -> bool:
    stars = max((int(text) for text in filters.get("stars", ()) if text.isdecimal()), default=0)
    if "is-official" in filters and item.official != flag(filters, "is-official", False):
        return False
    if "is-automated" in filters and item.automated != flag(filters, "is-automated", False):
        return False
    return item.stars >= stars
