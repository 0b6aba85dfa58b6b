"""Online garbage collection: safe while pushes run, in small transactions, with a grace period and a dry run."""

from __future__ import annotations

import asyncio
import logging

from lamina.errors import LaminaError
from lamina.registry.metadata import garbage
from lamina.registry.metadata.garbage import BATCH, Swept
from lamina.registry.registry import Registry
from lamina.registry.retention import apply
from lamina.registry.uploads import forget_ended

_log = logging.getLogger(__name__)
_EVERYTHING = 1_000_000_000
ORPHAN_AGE = 3600.0  # seconds that content may wait for its commit, at the very least


async def collect(
    registry: Registry, *, grace: float | None = None, dry_run: bool = False, orphan_age: float = ORPHAN_AGE
) -> Swept:
    """Remove what nothing has needed for `grace` seconds (the configured period where None); tells what went.

    Crash-safe: content is forgotten first, noted as trash, and removed then. With `dry_run` nothing changes; what only
    goes because something else went is not counted then.
    """
    now = registry.now()
    before = now - (registry.config.grace if grace is None else grace)
    if dry_run:
        return await _forecast(registry, before)
    swept, database = Swept(), registry.database
    while count := await database.exclusive(garbage.purge_manifests, before):
        swept.manifests += count
    while count := await database.exclusive(garbage.purge_links, before):
        swept.links += count
    while deleted := await database.exclusive(garbage.purge_blobs, before, now):
        swept.blobs += len(deleted)
        swept.bytes += sum(blob.size for blob in deleted)
    await database.exclusive(garbage.purge_empty_repositories)
    await _empty_trash(registry)
    swept.uploads = await registry.storage.expire(now - registry.config.upload_seconds)
    await forget_ended(database, registry.storage, now - registry.config.upload_seconds)
    swept.orphans = await _drop_orphans(registry, now - orphan_age)
    return swept


async def collect_forever(registry: Registry) -> None:
    """Apply the retention rules and collect, every `collect-every` seconds, until cancelled."""
    while True:
        await asyncio.sleep(registry.config.collect_every)
        try:
            if deleted := await apply(registry):
                _log.info("retention deleted %d manifests", len(deleted))
            swept = await collect(registry)
            _log.info("collected %s", swept)
        except (LaminaError, OSError) as error:
            _log.warning("a collection failed and will be tried again: %s", error)


async def _forecast(registry: Registry, before: float) -> Swept:
    database = registry.database
    blobs = await database.read(garbage.lost_blobs, before, _EVERYTHING)
    return Swept(
        manifests=len(await database.read(garbage.dead_manifests, before, _EVERYTHING)),
        links=len(await database.read(garbage.idle_links, before, _EVERYTHING)),
        blobs=len(blobs),
        bytes=sum(blob.size for blob in blobs),
    )


async def _empty_trash(registry: Registry) -> None:
    while locations := await registry.database.read(garbage.trash, BATCH):
        for location in locations:
            await registry.storage.remove(registry.storage.names(location))
        await registry.database.write(garbage.emptied, locations)


async def _drop_orphans(registry: Registry, before: float) -> int:
    """Remove content that a crash kept from being committed. Ask the database twice, as commits go on meanwhile."""
    suspects = await registry.storage.orphans(await _known(registry), before)
    referred = await _known(registry) if suspects else set()
    orphans = [name for name in suspects if name not in referred]
    await registry.storage.remove(orphans)
    return len(orphans)


async def _known(registry: Registry) -> set[str]:
    locations = await registry.database.read(garbage.locations)
    return {name for location in locations for name in registry.storage.names(location)}
