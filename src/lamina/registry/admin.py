"""What an administrator does to a registry, running or not: collect, list, verify, apply retention, undelete.

Each works beside running replicas, on the same configuration. All raise NotFound for a root without a registry.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from lamina.errors import Corrupt, LaminaError, NotFound
from lamina.formats.digest import Digest
from lamina.progress import ignore
from lamina.registry.collect import ORPHAN_AGE, collect
from lamina.registry.config import Config
from lamina.registry.metadata import inventory, manifests
from lamina.registry.metadata.garbage import Swept
from lamina.registry.metadata.inventory import ListedRepository, ListedTag, StoredBlob
from lamina.registry.registry import Registry
from lamina.registry.retention import PlannedDeletion, apply, plan
from lamina.registry.serve import DATABASE, assemble

T = TypeVar("T")
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Verified:
    """What a verification found: how much was read, and what is damaged or missing."""

    blobs: int
    bytes: int
    damaged: tuple[Corrupt, ...]


def gc(config: Config, *, grace: float | None = None, dry_run: bool = False, orphan_age: float = ORPHAN_AGE) -> Swept:
    """Collect garbage once (see `collect.collect`); times in seconds."""

    async def work(registry: Registry) -> Swept:
        return await collect(registry, grace=grace, dry_run=dry_run, orphan_age=orphan_age)

    return _with(config, work)


def ls(config: Config) -> list[ListedRepository]:
    """Return all repositories with their sizes in bytes and numbers of manifests and tags."""

    async def work(registry: Registry) -> list[ListedRepository]:
        return await registry.database.read(inventory.repositories)

    return _with(config, work)


def ls_tags(config: Config, repository: str) -> list[ListedTag]:
    """Return a repository's tags with what they name. Raise NotFound."""

    async def work(registry: Registry) -> list[ListedTag]:
        tags = await registry.database.read(inventory.tags, repository)
        if not tags and repository not in {r.name for r in await registry.database.read(inventory.repositories)}:
            raise NotFound(f"There is no repository {repository}")
        return tags

    return _with(config, work)


def verify(config: Config, report: Callable[[StoredBlob], None] = ignore) -> Verified:
    """Hash every blob and manifest again. `report` hears of each one before it is read."""

    async def work(registry: Registry) -> Verified:
        blobs, size, damaged = 0, 0, []
        async for blob in _stored(registry):
            report(blob)
            blobs, size = blobs + 1, size + blob.size
            if problem := await _problem(registry, blob):
                damaged.append(problem)
        return Verified(blobs, size, tuple(damaged))

    return _with(config, work)


def undelete(config: Config, repository: str, digest: Digest) -> list[str]:
    """Bring back a deleted manifest within its grace period, and return the tags that came back. Raise NotFound."""

    async def work(registry: Registry) -> list[str]:
        brought = await registry.database.write(manifests.undelete, repository, str(digest), registry.now())
        if brought is None:
            raise NotFound(f"{repository} has no deleted manifest {digest} any more")
        return brought

    return _with(config, work)


def retain(config: Config, *, dry_run: bool = True) -> list[PlannedDeletion]:
    """Return what the retention rules delete. Without `dry_run` it is deleted, and can be undeleted for a while."""

    async def work(registry: Registry) -> list[PlannedDeletion]:
        return await plan(registry) if dry_run else await apply(registry)

    return _with(config, work)


def _with(config: Config, work: Callable[[Registry], Awaitable[T]]) -> T:
    if config.database is None and config.root is not None and not (Path(config.root) / DATABASE).exists():
        raise NotFound(f"There is no registry in {config.root}", advice="Name the root that it is served from.")

    async def run() -> T:
        async with AsyncExitStack() as parts:
            return await work(await assemble(config, parts))

    return asyncio.run(run())


async def _stored(registry: Registry) -> AsyncIterator[StoredBlob]:
    for query in (inventory.blobs, inventory.documents):
        last = ""
        while page := await registry.database.read(query, last, _PAGE):
            for blob in page:
                yield blob
            last = page[-1].digest


async def _problem(registry: Registry, blob: StoredBlob) -> Corrupt | None:
    digest = Digest.parse(blob.digest)
    hasher, size = digest.hasher(), 0
    try:
        async for piece in _content(registry, blob):
            await asyncio.to_thread(hasher.update, piece)
            size += len(piece)
    except (LaminaError, OSError) as error:
        return Corrupt(f"{digest} cannot be read: {error}", expected=digest)
    if Digest.from_hasher(hasher) == digest and size == blob.size:
        return None
    return Corrupt(f"{digest} is damaged", expected=digest, found=Digest.from_hasher(hasher))


async def _content(registry: Registry, blob: StoredBlob) -> AsyncIterator[bytes]:
    if blob.location:
        async for piece in registry.storage.stream(blob.location, 0, blob.size):
            yield piece
    else:
        yield await registry.database.read(inventory.document, blob.digest)
