"""Uploads within a quota: bytes are reserved before they are stored, so unfinished uploads count as well."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING

from lamina.errors import NoSpace, NotFound, RangeInvalid
from lamina.registry.call import AT_ONCE, Call
from lamina.registry.metadata import quotas

if TYPE_CHECKING:
    from lamina.registry.registry import Registry

_BATCH = 500  # rows in one transaction


async def append(registry: Registry, call: Call, upload: str, start: int | None) -> int:
    """Add the request's body to an upload, and return the upload's size in bytes.

    Raises NoSpace for a body that passes the repository's quota, and drops the upload then: nobody could finish it.
    Raises what `Storage.append` raises, too.
    """
    quota = registry.config.quota(call.repository)
    if quota is None:
        return await registry.storage.append(call.repository, upload, start, call.pieces())
    body = _ReservedBody(registry, call, upload, quota)
    try:
        return await registry.storage.append(call.repository, upload, start, body.pieces())
    except RangeInvalid:
        body.passed = 0  # another request was first, and nothing of this one was kept
        raise
    except NoSpace:
        if body.refused:
            await drop(registry, call.repository, upload)
        raise
    except NotFound:
        await registry.database.write(quotas.forget, upload)
        raise
    finally:
        await body.release_rest()


async def drop(registry: Registry, repository: str, upload: str) -> None:
    """Forget an upload that may be gone already, and what it reserved."""
    with suppress(NotFound):
        await registry.storage.cancel(repository, upload)
    await registry.database.write(quotas.forget, upload)


async def forget_ended(registry: Registry, before: float) -> None:
    """Forget what uploads reserved that are gone: expired ones, and those a crash left."""
    while idle := await registry.database.read(quotas.idle, before, _BATCH):
        ended = []
        for upload, repository in idle:
            try:
                await registry.storage.offset(repository, upload)
            except NotFound:
                ended.append(upload)
        for upload in ended:
            await registry.database.write(quotas.forget, upload)
        if not ended:
            return


class _ReservedBody:
    """A request's body, of which each byte is reserved before it is passed on."""

    def __init__(self, registry: Registry, call: Call, upload: str, quota: int) -> None:
        self._registry = registry
        self._call = call
        self._upload = upload
        self._quota = quota
        self._reserved = 0
        self.passed = 0
        self.refused = False

    async def pieces(self) -> AsyncIterator[bytes]:
        if length := self._call.request.content_length:
            await self._reserve(length, length)
        async for piece in self._call.pieces():
            missing = self.passed + len(piece) - self._reserved
            if missing > 0:
                await self._reserve(missing, max(missing, AT_ONCE))
            self.passed += len(piece)
            yield piece

    async def release_rest(self) -> None:
        """Return what was reserved and did not come."""
        if rest := self._reserved - self.passed:
            await self._registry.database.write(quotas.release, self._upload, rest)

    async def _reserve(self, least: int, most: int) -> None:
        write, now = self._registry.database.write, self._registry.now()
        try:
            self._reserved += await write(
                quotas.reserve, self._call.repository, self._upload, least, most, self._quota, now
            )
        except NoSpace:
            self.refused = True
            raise
