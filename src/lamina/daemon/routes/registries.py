"""What registries say: `/distribution/{name}/json` of an image, `/auth` of credentials, `/images/search`.

`/registries/{server}/repositories` and `tags`, `manifest` and `config` below `/distribution/{name}` are lamina's own.
All take the credentials of the request (`X-Registry-Auth`), and none are kept.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from lamina.credentials import Credentials
from lamina.daemon.http.admission import Kind
from lamina.daemon.http.call import Call, reply
from lamina.daemon.http.decoding import AuthConfig, auth_header, without_prompts
from lamina.daemon.http.routing import Route
from lamina.distribution import SearchResult
from lamina.engine.registries import Registries
from lamina.errors import InvalidInput

_RESULTS = 25  # of a search
_NAMES, _MOST_NAMES = 1000, 10_000  # of a list


class RegistryRoutes:
    """The endpoints of registries."""

    def __init__(self, registries: Registries) -> None:
        self._registries = registries

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/distribution/{name*}/json", self.inspect, Kind.WORK),
            Route("GET", "/distribution/{name*}/tags", self.tags, Kind.WORK),
            Route("GET", "/distribution/{name*}/manifest", self.manifest, Kind.WORK),
            Route("GET", "/distribution/{name*}/config", self.config, Kind.WORK),
            Route("GET", "/registries/{server}/repositories", self.repositories, Kind.WORK),
            Route("POST", "/auth", self.login),
            Route("GET", "/images/search", self.search, Kind.WORK),
        ]

    async def inspect(self, call: Call) -> web.StreamResponse:
        image = await call.run(self._registries.inspect, call.places["name"], credentials=_credentials(call))
        platforms: list[dict[str, Any]] = [item.to_json() for item in image.platforms]
        return reply({"Descriptor": image.descriptor.to_json(), "Platforms": platforms})

    async def repositories(self, call: Call) -> web.StreamResponse:
        names = await call.run(
            self._registries.repositories, call.places["server"], limit=_limit(call), credentials=_credentials(call)
        )
        return reply({"Repositories": list(names)})

    async def tags(self, call: Call) -> web.StreamResponse:
        tags = await call.run(
            self._registries.tags, call.places["name"], limit=_limit(call), credentials=_credentials(call)
        )
        return reply({"Tags": list(tags)})

    async def manifest(self, call: Call) -> web.StreamResponse:
        """Answer the bytes of the manifest, whose digest is in the header as registries have it."""
        image = await call.run(self._registries.inspect, call.places["name"], credentials=_credentials(call))
        headers = {"Content-Type": image.media_type, "Docker-Content-Digest": str(image.digest)}
        return web.Response(body=image.document.raw, headers=headers)

    async def config(self, call: Call) -> web.StreamResponse:
        """Answer the bytes of an image's config, whose history has the instructions; of an index, the host's image."""
        config = await call.run(self._registries.config, call.places["name"], None, credentials=_credentials(call))
        return web.Response(body=config.raw, content_type="application/json")

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
        with without_prompts():
            results = await call.run(
                self._registries.search,
                call.text("term"),
                limit=_RESULTS if limit is None else limit,
                filters=call.filters(),
                credentials=_credentials(call),
            )
        return reply([_result(item) for item in results])


def _credentials(call: Call) -> Credentials | None:
    return auth_header(call.request.headers.get("X-Registry-Auth", ""))


def _limit(call: Call) -> int:
    """Return how many names are asked for. Raise InvalidInput for none and for too many."""
    limit = call.number("limit")
    if limit is None:
        return _NAMES
    if not 1 <= limit <= _MOST_NAMES:
        raise InvalidInput(f"limit {limit} is not from 1 to {_MOST_NAMES}")
    return limit


def _result(item: SearchResult) -> dict[str, Any]:
    return {
        "star_count": item.stars,
        "is_official": item.official,
        "name": item.name,
        "is_automated": item.automated,
        "description": item.description,
    }
