"""The API's URLs as data (distribution-spec, "Endpoints"): which path is what, and which methods it has."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from lamina.errors import NotFound
from lamina.registry.call import Call, Kind, Target, parse_name
from lamina.registry.handlers import blobs, listing, manifests, uploads

if TYPE_CHECKING:
    from lamina.registry.registry import Registry

Handler = Callable[["Registry", Call], Awaitable[web.StreamResponse]]

_NAMED = re.compile(r"/v2/(.+)/(manifests|blobs|referrers)/([^/]+)")
_UPLOAD = re.compile(r"/v2/(.+)/blobs/uploads(?:/([^/]*))?")
_TAGS = re.compile(r"/v2/(.+)/tags/list")
_KINDS = {"manifests": Kind.MANIFEST, "blobs": Kind.BLOB, "referrers": Kind.REFERRERS}
PULL, PUSH, DELETE = "pull", "push", "delete"


@dataclass(frozen=True, slots=True)
class Route:
    """One operation, and the action on the repository that a client must be allowed."""

    handler: Handler
    action: str | None

    @property
    def writes(self) -> bool:
        """Return whether a read-only registry refuses the operation."""
        return self.action in (PUSH, DELETE)


ROUTES: dict[tuple[Kind, str], Route] = {
    (Kind.BASE, "GET"): Route(listing.base, None),
    (Kind.BASE, "HEAD"): Route(listing.base, None),
    (Kind.CATALOG, "GET"): Route(listing.catalog, None),
    (Kind.TAGS, "GET"): Route(listing.tags, PULL),
    (Kind.REFERRERS, "GET"): Route(listing.referrers, PULL),
    (Kind.MANIFEST, "GET"): Route(manifests.get, PULL),
    (Kind.MANIFEST, "HEAD"): Route(manifests.get, PULL),
    (Kind.MANIFEST, "PUT"): Route(manifests.put, PUSH),
    (Kind.MANIFEST, "DELETE"): Route(manifests.delete, DELETE),
    (Kind.BLOB, "GET"): Route(blobs.get, PULL),
    (Kind.BLOB, "HEAD"): Route(blobs.get, PULL),
    (Kind.BLOB, "DELETE"): Route(blobs.delete, DELETE),
    (Kind.UPLOADS, "POST"): Route(uploads.start, PUSH),
    (Kind.UPLOAD, "GET"): Route(uploads.status, PUSH),
    (Kind.UPLOAD, "HEAD"): Route(uploads.status, PUSH),
    (Kind.UPLOAD, "PATCH"): Route(uploads.append, PUSH),
    (Kind.UPLOAD, "PUT"): Route(uploads.finish, PUSH),
    (Kind.UPLOAD, "DELETE"): Route(uploads.cancel, PUSH),
}


def parse_path(path: str) -> Target:
    """Return what a decoded URL path points at. Raise NotFound for no part of the API, InvalidInput for a bad name."""
    if path in ("/v2/", "/v2"):
        return Target(Kind.BASE)
    if path == "/v2/_catalog":
        return Target(Kind.CATALOG)
    if match := _UPLOAD.fullmatch(path):
        kind = Kind.UPLOAD if match[2] else Kind.UPLOADS
        return Target(kind, parse_name(match[1]), match[2] or "")
    if match := _TAGS.fullmatch(path):
        return Target(Kind.TAGS, parse_name(match[1]))
    if match := _NAMED.fullmatch(path):
        return Target(_KINDS[match[2]], parse_name(match[1]), match[3])
    raise NotFound("There is nothing at this path", code="NOT_FOUND")
