"""From a finished upload to a blob: one of finish, cancel and expiry has an upload, and the others touch nothing.

Where uploads live in the database, the transaction that records the blob takes the upload's row with it, as a
cancellation and an expiry do; whoever finds no row has lost. Local files are taken by a rename or an unlink.
"""

from __future__ import annotations

import logging

from lamina.errors import InvalidInput, LaminaError
from lamina.formats.digest import Digest
from lamina.registry.metadata import quotas, repositories
from lamina.registry.metadata.database import Database
from lamina.registry.metadata.repositories import Placed
from lamina.registry.storage.protocol import Storage, busy

_log = logging.getLogger(__name__)


async def keep(
    database: Database, storage: Storage, repository: str, digest: Digest, upload: str, now: float, quota: int | None
) -> None:
    """Verify an upload, and make it a blob of the repository that survives a crash.

    `now` is in seconds since the epoch, `quota` in bytes. Raises NotFound where the upload was cancelled, expired or
    finished by someone else, RangeInvalid where it grew meanwhile, InvalidInput where it does not have the digest,
    NoSpace beyond the quota; the last two end the upload.
    """
    try:
        placed = await storage.finish(repository, upload, digest)
    except InvalidInput:
        await database.write(quotas.forget, upload)
        raise
    try:
        kept = await database.write(repositories.add_blob, repository, str(digest), placed, upload, now, quota)
    except LaminaError:
        await _abandon(database, storage, digest, placed, upload)
        raise
    if kept is None:
        raise busy(await storage.offset(repository, upload))
    if kept != placed.location:
        await storage.remove(storage.names(placed.location))


async def _abandon(database: Database, storage: Storage, digest: Digest, placed: Placed, upload: str) -> None:
    """Remove the bytes of a push that was refused. The database is asked whether it was: an answer can get lost."""
    try:
        if await database.write(repositories.abandon, str(digest), placed, upload):
            await storage.remove(storage.names(placed.location))
    except LaminaError as error:
        _log.warning("the bytes of a refused push wait for the collector: %s", error)
