"""From bytes that a client sends to a blob: within a quota, verified, and with one end for each upload.

Bytes are reserved before they are stored, so unfinished uploads count as well. Where uploads live in the database, the
transaction that records the blob takes the upload's row with it, as a cancellation and an expiry do; whoever finds no
row has lost. Local files are taken by a rename or an unlink.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import suppress

from lamina.errors import InvalidInput, LaminaError, NoSpace, NotFound, RangeInvalid
from lamina.formats.digest import Digest
from lamina.registry.call import AT_ONCE, Call
from lamina.registry.metadata import quotas, repositories
from lamina.registry.metadata.database import Database
from lamina.registry.metadata.repositories import Placed
from lamina.registry.storage.protocol import Storage, busy

_BATCH = 500  # rows in one transaction
_log = logging.getLogger(__name__)


async def append(
    database: Database, storage: Storage, call: Call, upload: str, start: int | None, now: float, quota: int | None
) -> int:
    """Add the request's body to an upload, and return the upload's size in bytes.

    Raise NoSpace for a body that passes `quota`, and drops the upload then: nobody could finish it. Raise what
    `Storage.append` raises, too.
    """
    if quota is None:
        return await storage.append(call.repository, upload, start, call.pieces())
    body = _ReservedBody(database, call, upload, now, quota)
    try:
        return await storage.append(call.repository, upload, start, body.pieces())
    except RangeInvalid:
        body.passed = 0  # another request was first, and nothing of this one was kept
        raise
    except NoSpace:
        if body.refused:
            await drop(database, storage, call.repository, upload)
        raise
    except NotFound:
        await database.write(quotas.forget, upload)
        raise
    finally:
        await body.release_rest()


async def drop(database: Database, storage: Storage, repository: str, upload: str) -> None:
    """Forget an upload that may be gone already, and what it reserved."""
    with suppress(NotFound):
        await storage.cancel(repository, upload)
    await database.write(quotas.forget, upload)


async def forget_ended(database: Database, storage: Storage, before: float) -> None:
    """Forget what uploads reserved that are gone: expired ones, and those a crash left."""
    while idle := await database.read(quotas.idle, before, _BATCH):
        ended = []
        for upload, repository in idle:
            try:
                await storage.offset(repository, upload)
            except NotFound:
                ended.append(upload)
        for upload in ended:
            await database.write(quotas.forget, upload)
        if not ended:
            return


class _ReservedBody:
    """A request's body, of which each byte is reserved before it is passed on."""

    def __init__(self, database: Database, call: Call, upload: str, now: float, quota: int) -> None:
        self._database = database
        self._now = now
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
        """Release the bytes that were reserved and never sent."""
        if rest := self._reserved - self.passed:
            await self._database.write(quotas.release, self._upload, rest)

    async def _reserve(self, least: int, most: int) -> None:
        try:
            self._reserved += await self._database.write(
                quotas.reserve, self._call.repository, self._upload, least, most, self._quota, self._now
            )
        except NoSpace:
            self.refused = True
            raise


async def keep(
    database: Database, storage: Storage, repository: str, digest: Digest, upload: str, now: float, quota: int | None
) -> None:
    """Verify an upload, and make it a blob of the repository that survives a crash.

    `now` is in seconds since the epoch, `quota` in bytes. Raise NotFound where the upload was cancelled, expired or
    finished by someone else, RangeInvalid where it grew meanwhile, InvalidInput where it does not have the digest,
    NoSpace beyond the quota; the last two end the upload.
    """
    try:
        placed = await storage.finish(repository, upload, digest)
    except InvalidInput:
        await database.write(quotas.forget, upload)
        raise
    try:
        location = await database.write(repositories.add_blob, repository, str(digest), placed, upload, now, quota)
    except LaminaError:
        await _abandon(database, storage, digest, placed, upload)
        raise
    if location is None:
        raise busy(await storage.offset(repository, upload))
    if location != placed.location:
        await storage.remove(storage.names(placed.location))


async def _abandon(database: Database, storage: Storage, digest: Digest, placed: Placed, upload: str) -> None:
    """Remove the bytes of a refused push, after asking the database, because the answer to a commit can get lost."""
    try:
        if await database.write(repositories.abandon, str(digest), placed, upload):
            await storage.remove(storage.names(placed.location))
    except LaminaError as error:
        _log.warning("the bytes of a refused push wait for the collector: %s", error)
