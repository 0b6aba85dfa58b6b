"""Uploads: POST (sessions, mounts, whole blobs), PATCH, PUT, GET, DELETE (distribution-spec, "Pushing blobs")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from lamina.errors import InvalidInput
from lamina.formats.digest import DEFAULT, LENGTHS, Digest
from lamina.registry import faults, uploads
from lamina.registry.call import Call, parse_digest, parse_name
from lamina.registry.handlers.answers import empty
from lamina.registry.metadata import quotas, repositories

if TYPE_CHECKING:
    from lamina.registry.registry import Registry


async def start(registry: Registry, call: Call) -> web.StreamResponse:
    """Answer POST: mount a blob, take a whole one, or open an upload."""
    mount, whole = call.query("mount"), call.query("digest")
    if mount is not None:
        digest = parse_digest(mount)
        if await _mount(registry, call, digest):
            return _created(call, digest)
    if whole is not None and mount is None:
        digest = parse_digest(whole)
        upload = await registry.storage.create(call.repository, digest.algorithm)
        try:
            await _append(registry, call, upload, 0)
        except BaseException:
            await uploads.drop(
                registry.database, registry.storage, call.repository, upload
            )  # the client has no name for it
            raise
        return await _commit(registry, call, upload, digest)
    algorithm = call.query("digest-algorithm") or DEFAULT
    if algorithm not in LENGTHS:
        raise InvalidInput(f"The digest algorithm {algorithm[:40]!r} is not known", code=faults.DIGEST_INVALID)
    upload = await registry.storage.create(call.repository, algorithm)
    return _accepted(registry, call, upload, 0, 202)


async def status(registry: Registry, call: Call) -> web.StreamResponse:
    """Answer GET: how far an upload came."""
    size = await registry.storage.offset(call.repository, call.target.reference)
    return _accepted(registry, call, call.target.reference, size, 204)


async def append(registry: Registry, call: Call) -> web.StreamResponse:
    """Answer PATCH: add the next chunk, or a stream."""
    upload = call.target.reference
    size = await _append(registry, call, upload, call.chunk_start())
    return _accepted(registry, call, upload, size, 202)


async def finish(registry: Registry, call: Call) -> web.StreamResponse:
    """Answer PUT: add the last chunk, if there is one more, and verify the digest of all."""
    written = call.query("digest")
    if written is None:
        raise InvalidInput("The digest parameter is missing", code=faults.DIGEST_INVALID)
    digest, upload = parse_digest(written), call.target.reference
    if call.request.body_exists:
        await _append(registry, call, upload, call.chunk_start())
    return await _commit(registry, call, upload, digest)


async def cancel(registry: Registry, call: Call) -> web.StreamResponse:
    """Answer DELETE: drop an upload."""
    await registry.storage.cancel(call.repository, call.target.reference)
    await registry.database.write(quotas.forget, call.target.reference)
    return empty(204)


async def _append(registry: Registry, call: Call, upload: str, start: int | None) -> int:
    quota, now = registry.config.quota(call.repository), registry.now()
    return await uploads.append(registry.database, registry.storage, call, upload, start, now, quota)


async def _mount(registry: Registry, call: Call, digest: Digest) -> bool:
    """Link the blob from the repository the client names, or from any it may pull from. Return whether that worked."""
    source = call.query("from")
    if source is not None:
        holders = [parse_name(source)]
    else:
        holders = await registry.database.read(repositories.holders_of, str(digest))
    allowed = [holder for holder in holders if registry.gate.allows(call.identity, holder, "pull")]
    if not allowed:
        return False
    quota = registry.config.quota(call.repository)
    return await registry.database.write(
        repositories.mount, call.repository, str(digest), allowed, registry.now(), quota
    )


async def _commit(registry: Registry, call: Call, upload: str, digest: Digest) -> web.StreamResponse:
    quota, now = registry.config.quota(call.repository), registry.now()
    await uploads.keep(registry.database, registry.storage, call.repository, digest, upload, now, quota)
    return _created(call, digest)


def _created(call: Call, digest: Digest) -> web.Response:
    location = f"/v2/{call.repository}/blobs/{digest}"
    return empty(201, {"Location": location, "Docker-Content-Digest": str(digest)})


def _accepted(registry: Registry, call: Call, upload: str, size: int, code: int) -> web.Response:
    headers = {
        "Location": f"/v2/{call.repository}/blobs/uploads/{upload}",
        "Docker-Upload-UUID": upload,
        "Range": f"0-{max(0, size - 1)}",
    }
    if registry.storage.minimum_chunk:
        headers["OCI-Chunk-Min-Length"] = str(registry.storage.minimum_chunk)
    return empty(code, headers)
