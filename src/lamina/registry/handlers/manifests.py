"""Manifests: GET, HEAD, PUT with tags, DELETE of manifests and tags."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web

from lamina.errors import InvalidInput, NotFound
from lamina.formats.digest import Digest
from lamina.formats.reference import is_tag
from lamina.registry import faults
from lamina.registry.call import Call, parse_digest
from lamina.registry.handlers.answers import content_headers, empty, not_modified
from lamina.registry.metadata import manifests, repositories
from lamina.registry.metadata.manifests import StoredManifest
from lamina.registry.pushed_manifest import describe

if TYPE_CHECKING:
    from lamina.registry.registry import Registry

MOST_TAGS = 100  # in one request


async def get(registry: Registry, call: Call) -> web.StreamResponse:
    """Answer GET and HEAD of a manifest by tag or digest."""
    reference = call.reference()
    with_raw = call.request.method == "GET"
    if registry.proxy_cache is not None:
        await registry.proxy_cache.manifest(call.repository, reference, call.query("ns"), registry.now())
    query = manifests.find_by_digest if isinstance(reference, Digest) else manifests.find_by_tag
    manifest = await registry.database.read(query, call.repository, str(reference), with_raw)
    if manifest is None:
        raise await manifest_unknown(registry, call.repository, str(reference))
    if with_raw:
        _note_pull(registry, call, manifest)
    headers = content_headers(manifest.digest, manifest.media_type)
    if not_modified(call, manifest.digest):
        return empty(304, headers)
    return _served(manifest, headers)


async def put(registry: Registry, call: Call) -> web.StreamResponse:
    """Answer PUT of a manifest under a tag, or under its digest with any number of `tag` parameters."""
    reference = call.reference()
    tags = call.request.rel_url.query.getall("tag", []) if isinstance(reference, Digest) else [reference]
    if len(tags) > MOST_TAGS:
        raise InvalidInput(f"More than {MOST_TAGS} tags at once", code=faults.TAG_INVALID, status=414)
    if wrong := [tag for tag in tags if not is_tag(tag)]:
        raise InvalidInput(f"{wrong[0][:130]!r} is not a tag", code=faults.TAG_INVALID)
    raw = await call.whole(registry.config.manifest_limit)
    expected = reference if isinstance(reference, Digest) else _stated_digest(call)
    new = describe(raw, call.request.headers.get("Content-Type"), expected, registry.config.sparse)
    immutable = [tag for tag in tags if registry.config.is_immutable(call.repository, tag)]
    quota = registry.config.quota(call.repository)
    await registry.database.write(manifests.put, call.repository, new, tags, immutable, quota, registry.now())
    fields = {"repository": call.repository, "digest": new.digest, "mediaType": new.media_type, "tags": list(tags)}
    registry.notify("push", fields | {"size": len(raw), "user": call.identity.name})
    headers = {"Location": f"/v2/{call.repository}/manifests/{new.digest}", "Docker-Content-Digest": new.digest}
    if new.subject:
        headers["OCI-Subject"] = new.subject
    if isinstance(reference, Digest) and tags:
        headers["OCI-Tag"] = ", ".join(tags)
    return empty(201, headers)


async def delete(registry: Registry, call: Call) -> web.StreamResponse:
    """Answer DELETE of a tag, or of a manifest with all its tags."""
    reference = call.reference()
    if isinstance(reference, Digest):
        immutable = partial(registry.config.is_immutable, call.repository)
        query, now = manifests.delete, registry.now()
        was_deleted = await registry.database.write(query, call.repository, str(reference), immutable, now)
    else:
        if registry.config.is_immutable(call.repository, reference):
            raise manifests.tag_immutable(call.repository, reference)
        was_deleted = await registry.database.write(manifests.delete_tag, call.repository, reference) is not None
    if not was_deleted:
        raise await manifest_unknown(registry, call.repository, str(reference))
    fields = {"repository": call.repository, "reference": str(reference), "user": call.identity.name}
    registry.notify("delete", fields)
    return empty(202)


async def manifest_unknown(registry: Registry, repository: str, reference: str) -> NotFound:
    """Return the error for a missing manifest or tag, which says whether the repository is missing as well."""
    if await registry.database.read(repositories.exists, repository):
        return NotFound(f"{repository} has no manifest {reference}", code=faults.MANIFEST_UNKNOWN)
    return NotFound(f"There is no repository {repository}", code=faults.NAME_UNKNOWN)


def _stated_digest(call: Call) -> Digest | None:
    written = call.query("digest")
    return parse_digest(written) if written else None


def _note_pull(registry: Registry, call: Call, manifest: StoredManifest) -> None:
    """Note a GET as a pull, but not a HEAD, by which clients look for a newer image."""
    registry.pulls.note(call.repository, manifest.digest, registry.now())
    fields = {"repository": call.repository, "digest": manifest.digest, "mediaType": manifest.media_type}
    registry.notify("pull", fields | {"reference": call.target.reference, "user": call.identity.name})


def _served(manifest: StoredManifest, headers: dict[str, str]) -> web.Response:
    if manifest.raw is None:
        return empty(200, headers | {"Content-Length": str(manifest.size)})
    return web.Response(body=bytes(manifest.raw), headers=headers)
