"""Routes as data, and finding the one that a request means."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from aiohttp import web

from lamina.daemon.http.admission import Kind
from lamina.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from lamina.daemon.http.call import Call

Handler = Callable[["Call"], Awaitable[web.StreamResponse]]

NEWEST = (1, 53)
OLDEST = (1, 24)
_PREFIX = re.compile(r"/v(\d+)\.(\d+)(?=/)")
_PLACE = re.compile(r"\{(\w+)(\*?)\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint. In `path`, `{name}` stands for one segment and `{name*}` for one or more (image names).

    Without a `kind`, GET and HEAD are queries and everything else is work.
    """

    method: str
    path: str
    handler: Handler
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """The handler of a request, the variable parts of its path, and its kind."""

    handler: Handler
    places: Mapping[str, str]
    kind: Kind


class Router:
    """Finds routes. The first match wins, so longer paths of a group come before shorter ones."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_head: dict[str, list[tuple[Route, re.Pattern[str]]]] = {}
        for route in routes:
            head = route.path.split("/", 2)[1]
            self._by_head.setdefault(head, []).append((route, _pattern(route.path)))

    def match(self, method: str, path: str) -> Match:
        """Return the route of `path`, which has no version and is still percent-encoded. Raise NotFound.

        A slash at the end changes nothing: older clients write it.
        """
        path = path.removesuffix("/")
        head = path.split("/", 2)[1] if path.startswith("/") else ""
        other_method = False
        for route, pattern in self._by_head.get(head, ()):
            if path_match := pattern.fullmatch(path):
                if route.method == method:
                    places = {name: unquote(text) for name, text in path_match.groupdict().items()}
                    return Match(route.handler, places, route.kind or _usual(method))
                other_method = True
        if other_method:
            return Match(_other_method, {}, Kind.QUERY)
        raise NotFound("page not found", path=path)


def _usual(method: str) -> Kind:
    return Kind.QUERY if method in ("GET", "HEAD") else Kind.WORK


async def _other_method(call: Call) -> web.StreamResponse:
    """Answer 405: the path exists, with other methods only."""
    return web.json_response({"message": "method not allowed"}, status=405)


def split_version(path: str) -> tuple[tuple[int, int], str]:
    """Return the API version of a path (the newest if it names none) and the rest. Raise InvalidInput."""
    prefix = _PREFIX.match(path)
    if prefix is None:
        return NEWEST, path
    version = (int(prefix[1]), int(prefix[2]))
    if version > NEWEST:
        raise InvalidInput(
            f"client version {dotted(version)} is too new. Maximum supported API version is {dotted(NEWEST)}"
        )
    if version < OLDEST:
        raise InvalidInput(
            f"client version {dotted(version)} is too old. Minimum supported API version is {dotted(OLDEST)}, "
            "please upgrade your client to a newer version"
        )
    return version, path[prefix.end() :]


def dotted(version: tuple[int, int]) -> str:
    """Return an API version as clients write it, such as "1.41"."""
    return f"{version[0]}.{version[1]}"


def _pattern(path: str) -> re.Pattern[str]:
    parts, end = [], 0
    for place in _PLACE.finditer(path):
        parts.append(re.escape(path[end : place.start()]))
        parts.append(f"(?P<{place[1]}>{'.+' if place[2] else '[^/]+'})")
        end = place.end()
    return re.compile("".join(parts) + re.escape(path[end:]))
