"""Pull-through: content of other registries, fetched when it is asked for and kept like any other.

A tag is asked for again upstream once it is older than `fresh-seconds`; where upstream does not answer, what is here is
served all the same. Each upstream has credentials of its own, and clients see none of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from lamina.credentials import Credentials
from lamina.distribution.registry_client import RegistryClient
from lamina.distribution.repository import Repository
from lamina.distribution.settings import Retry, Settings
from lamina.distribution.spool import Spool
from lamina.errors import Conflict, InvalidInput, LaminaError, NotFound, Unavailable
from lamina.formats.digest import Digest
from lamina.formats.reference import DEFAULT_DOMAIN, Reference
from lamina.keylocks import InUse
from lamina.registry.config import Config, Upstream
from lamina.registry.metadata import manifests, repositories
from lamina.registry.metadata.database import Database
from lamina.registry.pushed_manifest import describe
from lamina.registry.storage.protocol import Storage
from lamina.registry.uploads import keep


class ProxyCache:
    """Fetches from the configured upstreams. One fetch at a time for each piece of content in this process."""

    def __init__(self, config: Config, database: Database, storage: Storage, closing: AsyncExitStack) -> None:
        self._config = config
        self._database = database
        self._storage = storage
        self._upstreams = sorted(config.upstreams, key=lambda upstream: len(upstream.prefix), reverse=True)
        self._clients = {upstream.domain: _client(upstream) for upstream in self._upstreams}
        for client in self._clients.values():
            closing.callback(client.close)
        self._turns: InUse[str, asyncio.Lock] = InUse(asyncio.Lock)

    def covers(self, repository: str) -> bool:
        """Return whether a repository is a cache of another registry, which nobody pushes to."""
        return self._find(repository, None) is not None

    async def manifest(self, repository: str, reference: Digest | str, namespace: str | None, now: float) -> None:
        """Fetch the manifest if it is missing, or its tag is not fresh. Ignore that upstream does not have it."""
        upstream = self._find(repository, namespace)
        if upstream is None or await self._is_fresh(repository, reference, upstream, now):
            return
        async with self._turn(f"{repository}@{reference}"):
            if await self._is_fresh(repository, reference, upstream, now):
                return
            origin = self._origin(upstream, repository)
            try:
                fetched = await asyncio.to_thread(origin.manifest, reference)
            except NotFound:
                return
            except LaminaError:
                if await self._known(repository, reference):
                    return
                raise
            new = describe(fetched.raw, fetched.media_type, fetched.digest, "all")
            tags = [] if isinstance(reference, Digest) else [reference]
            immutable = [tag for tag in tags if self._config.is_immutable(repository, tag)]
            with suppress(Conflict):  # another replica was first, and the tag stays with what that one fetched
                quota = self._config.quota(repository)
                await self._database.write(manifests.put, repository, new, tags, immutable, quota, now)

    async def blob(self, repository: str, digest: Digest, namespace: str | None, now: float) -> None:
        """Fetch the blob if it is missing. Ignore that upstream does not have it. Raises the kinds of `download`."""
        upstream = self._find(repository, namespace)
        if upstream is None:
            return
        async with self._turn(f"{repository}@{digest}"):
            if await self._database.read(repositories.find_blob, repository, str(digest)) is not None:
                return
            origin = self._origin(upstream, repository)
            described = await asyncio.to_thread(origin.describe_blob, digest)
            if described is None:
                return
            upload = await self._storage.create(repository, digest.algorithm)
            with Spool(origin, described) as spool:
                await self._storage.append(repository, upload, 0, _pieces(spool))
            await keep(self._database, self._storage, repository, digest, upload, now, self._config.quota(repository))

    def _find(self, repository: str, namespace: str | None) -> Upstream | None:
        for upstream in self._upstreams:
            if namespace is not None and not upstream.prefix and upstream.domain != namespace:
                continue
            if not upstream.prefix or repository.startswith(upstream.prefix + "/"):
                return upstream
        return None

    def _origin(self, upstream: Upstream, repository: str) -> Repository:
        path = repository.removeprefix(upstream.prefix + "/") if upstream.prefix else repository
        if upstream.domain == DEFAULT_DOMAIN and "/" not in path:
            path = f"library/{path}"
        return self._clients[upstream.domain].repository(Reference(upstream.domain, path))

    async def _known(self, repository: str, reference: Digest | str) -> bool:
        query = manifests.find_by_digest if isinstance(reference, Digest) else manifests.find_by_tag
        return await self._database.read(query, repository, str(reference), False) is not None

    async def _is_fresh(self, repository: str, reference: Digest | str, upstream: Upstream, now: float) -> bool:
        if isinstance(reference, Digest):
            return await self._known(repository, reference)
        updated = await self._database.read(manifests.tag_updated, repository, reference)
        if updated is None:
            return False
        return now - updated < upstream.fresh_seconds or self._config.is_immutable(repository, reference)

    @asynccontextmanager
    async def _turn(self, key: str) -> AsyncIterator[None]:
        with self._turns.use(key) as turn:
            async with turn:
                yield


async def _pieces(spool: Spool) -> AsyncIterator[bytes]:
    position = 0
    while (available := await asyncio.to_thread(spool.wait, position)) > position:
        piece = await asyncio.to_thread(spool.read_at, position, min(available - position, 1 << 20))
        position += len(piece)
        yield piece
    if spool.finished() is None:
        raise Unavailable("The upstream registry did not send all of it")


def upstream_settings(upstream: Upstream) -> Settings:
    """Return the settings of the client that fetches from an upstream."""
    retry = Retry(attempts=2)  # a client is waiting, and has patience of its own
    return Settings(insecure=(upstream.domain,) if upstream.insecure else (), retry=retry)


def _client(upstream: Upstream) -> RegistryClient:
    credentials = None
    if upstream.username:
        credentials = Credentials(upstream.username, _read_secret(upstream.password_file))
    return RegistryClient(upstream_settings(upstream), lambda key: credentials)


def _read_secret(path: Path | None) -> str:
    if path is None:
        raise InvalidInput("An upstream with a username needs a password-file")
    try:
        return path.read_text().strip()
    except OSError as error:
        raise InvalidInput(f"The password file {path} cannot be read") from error
