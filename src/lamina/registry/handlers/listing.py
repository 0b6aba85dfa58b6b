"""Lists: the API's base, the catalog, tags, referrers."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from lamina.errors import NotFound
from lamina.formats.descriptor import OCI_INDEX
from lamina.formats.document import encode
from lamina.registry import faults
from lamina.registry.call import Call, Identity
from lamina.registry.handlers.answers import document
from lamina.registry.metadata import manifests, repositories

if TYPE_CHECKING:
    from lamina.registry.registry import Registry

MOST = 10_000  # names in one answer
SCANNED = 1000  # names read at once to find those that a client may see
MOST_REFERRERS = 500  # descriptors in one answer


async def base(registry: Registry, call: Call) -> web.StreamResponse:
    """Tell that the API is here and the client may use it."""
    return document(b"{}", headers={"Docker-Distribution-Api-Version": "registry/2.0"})


async def catalog(registry: Registry, call: Call) -> web.StreamResponse:
    """List the repositories that the client may see, `n` of them after `last`."""
    n, last = _page(call)
    viewer = Identity(call.identity.name)  # a token names repositories, but here it is about all of them
    visible: list[str] = []
    more = n > 0
    position, size = last, n + 1
    while more and len(visible) <= n:
        names = await registry.database.read(repositories.catalog, position, size)
        more = len(names) == size
        size = max(size, SCANNED)  # this client sees few of them
        position = names[-1] if names else position
        visible += [name for name in names if registry.gate.allows(viewer, name, "pull")]
    headers = _next("/v2/_catalog", n, visible)
    return document(encode({"repositories": visible[:n]}), headers=headers)


async def tags(registry: Registry, call: Call) -> web.StreamResponse:
    """List a repository's tags, `n` of them after `last`."""
    n, last = _page(call)
    names = await registry.database.read(manifests.list_tags, call.repository, last, n + 1)
    if not names and not await registry.database.read(repositories.exists, call.repository):
        raise NotFound(f"There is no repository {call.repository}", code=faults.NAME_UNKNOWN)
    headers = _next(f"/v2/{call.repository}/tags/list", n, names)
    return document(encode({"name": call.repository, "tags": names[:n]}), headers=headers)


async def referrers(registry: Registry, call: Call) -> web.StreamResponse:
    """List the manifests whose subject is this digest: all of them, or those of one artifact type."""
    subject, artifact_type, last = str(call.digest()), call.query("artifactType") or "", call.query("last") or ""
    rows = await registry.database.read(
        manifests.referrers, call.repository, subject, artifact_type, last, MOST_REFERRERS + 1
    )
    listed = [msgspec.Raw(descriptor) for _, descriptor in rows[:MOST_REFERRERS]]
    headers = {"OCI-Filters-Applied": "artifactType"} if artifact_type else {}
    if len(rows) > MOST_REFERRERS:
        query = {"last": rows[MOST_REFERRERS - 1][0]} | ({"artifactType": artifact_type} if artifact_type else {})
        headers["Link"] = f'</v2/{call.repository}/referrers/{subject}?{urlencode(query)}>; rel="next"'
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}
    return document(encode(index), OCI_INDEX, headers)


def _page(call: Call) -> tuple[int, str]:
    requested = call.number("n")
    return (MOST if requested is None else min(requested, MOST)), call.query("last") or ""


def _next(path: str, n: int, names: list[str]) -> dict[str, str]:
    """Return the Link header, where there are more than `n` names (RFC 8288)."""
    if n == 0 or len(names) <= n:
        return {}
    return {"Link": f'<{path}?{urlencode({"n": n, "last": names[n - 1]})}>; rel="next"'}
