"""Blobs: GET with ranges and sendfile, HEAD, DELETE."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from lamina.distribution.headers import parse_byte_range
from lamina.errors import NotFound, RangeInvalid
from lamina.registry import faults
from lamina.registry.call import OCTETS, Call
from lamina.registry.handlers.answers import content_headers, empty, not_modified
from lamina.registry.metadata import repositories
from lamina.registry.metadata.repositories import Blob

if TYPE_CHECKING:
    from lamina.registry.registry import Registry

_SMALL = 256 << 10  # bytes that are read on the spot
_TOUCH_SHARE = 8  # a blob's last use is renewed once an eighth of the grace period has passed
_PIECE = 1 << 20


async def get(registry: Registry, call: Call) -> web.StreamResponse:
    """Answer GET and HEAD of a blob, whole or one range of it."""
    digest = str(call.digest())
    blob = await registry.database.read(repositories.find_blob, call.repository, digest)
    if blob is None and registry.proxy_cache is not None:
        await registry.proxy_cache.blob(call.repository, call.digest(), call.query("ns"), registry.now())
        blob = await registry.database.read(repositories.find_blob, call.repository, digest)
    if blob is None:
        raise blob_unknown(call.repository, digest)
    head = call.request.method == "HEAD"
    if head and registry.now() - blob.used > registry.config.grace / _TOUCH_SHARE:
        await registry.database.write(repositories.touch_blob, call.repository, digest, registry.now())
    headers = content_headers(digest, OCTETS) | {"Accept-Ranges": "bytes"}
    if not_modified(call, digest):
        return empty(304, headers)
    first, last, status = _range(call, blob.size, headers)
    if head:
        return empty(200, headers | {"Content-Length": str(blob.size)})
    if registry.config.redirect and blob.location and (url := await registry.storage.url(blob.location)):
        return empty(307, {"Location": url, "Docker-Content-Digest": digest})
    return await _content(registry, call, blob, headers, first, last + 1 - first, status)


async def delete(registry: Registry, call: Call) -> web.StreamResponse:
    """Answer DELETE of a blob, from one repository."""
    digest = str(call.digest())
    if not await registry.database.write(repositories.unlink_blob, call.repository, digest, registry.now()):
        raise blob_unknown(call.repository, digest)
    return empty(202)


def blob_unknown(repository: str, digest: str) -> NotFound:
    """Return the error for a blob that a repository does not have."""
    return NotFound(f"{repository} has no blob {digest}", code=faults.BLOB_UNKNOWN)


def _range(call: Call, size: int, headers: dict[str, str]) -> tuple[int, int, int]:
    """Return first byte, last byte and status by the Range header. What is no single range of bytes is ignored."""
    header = call.request.headers.get("Range")
    validator = call.request.headers.get("If-Range")
    if header is None or (validator is not None and validator != headers["ETag"]):
        return 0, size - 1, 200
    try:
        span = parse_byte_range(header, size)
    except ValueError:
        return 0, size - 1, 200
    if span is None:
        raise RangeInvalid(f"The blob has only {size} bytes", headers={"Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {span[0]}-{span[1]}/{size}"
    return span[0], span[1], 206


async def _content(
    registry: Registry, call: Call, blob: Blob, headers: dict[str, str], first: int, count: int, status: int
) -> web.StreamResponse:
    if not blob.location:
        content = await registry.database.read(repositories.small_content, str(call.digest()))
        return web.Response(status=status, headers=headers, body=content[first : first + count])
    path = registry.storage.file(blob.location)
    if path is None:
        answer = web.StreamResponse(status=status, headers=headers | {"Content-Length": str(count)})
        await answer.prepare(call.request)
        async for piece in registry.storage.stream(blob.location, first, count):
            await answer.write(piece)
        await answer.write_eof()
        return answer
    if count <= _SMALL:
        return web.Response(status=status, headers=headers, body=_read(path, first, count))
    return FileAnswer(path, first, count, status, headers)


def _read(path: Path, first: int, count: int) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(fd, count, first)
    finally:
        os.close(fd)


class FileAnswer(web.StreamResponse):
    """`count` bytes of a file from byte `first` on, by sendfile where the connection is not encrypted."""

    def __init__(self, path: Path, first: int, count: int, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(status=status, headers=headers)
        self.content_length = count
        self._file_path = path
        self._first = first
        self._count = count

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        with self._file_path.open("rb") as file:
            writer = await super().prepare(request)
            transport = request.transport
            if writer is None or transport is None:
                raise ConnectionResetError("the client went away")
            if transport.get_extra_info("sslcontext") is None:
                writer.send_headers()
                await asyncio.get_running_loop().sendfile(transport, file, self._first, self._count)
            else:
                file.seek(self._first)
                left = self._count
                while left and (piece := await asyncio.to_thread(file.read, min(left, _PIECE))):
                    left -= len(piece)
                    await writer.write(piece)
            await super().write_eof()
            return writer
