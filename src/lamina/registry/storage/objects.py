"""Blobs and uploads in an object store (S3 and what speaks like it, Google's, Azure's), with state in the database.

An upload is a list of objects, one for each request that brought bytes; it becomes the blob as it is, so nothing is
copied. Any replica can go on with any upload.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import AzureStore, GCSStore, LocalStore, S3Store, from_url

from lamina.errors import InvalidInput, Unavailable
from lamina.formats.digest import DEFAULT, Digest, new_hasher
from lamina.lru import LruCache
from lamina.registry.metadata import uploads
from lamina.registry.metadata.database import Database
from lamina.registry.metadata.repositories import Placed
from lamina.registry.metadata.uploads import Unfinished
from lamina.registry.storage.protocol import (
    Body,
    busy,
    out_of_order,
    upload_unknown,
    wrong_digest,
)
from lamina.registry.storage.segments import SegmentWriter, cut, decode, encode, trouble

if TYPE_CHECKING:
    from hashlib import _Hash

    from obstore.store import ObjectStore

_READ = 1 << 20
_REMEMBERED = 1024
_URL_LIFE = timedelta(minutes=20)
_BATCH = 100


class ObjectStorage:
    """Objects in one bucket, below a prefix that the store knows."""

    minimum_chunk = 0

    def __init__(self, store: ObjectStore, database: Database) -> None:
        self._store = store
        self._database = database
        self._hashers: LruCache[str, tuple[_Hash, int]] = LruCache(_REMEMBERED)

    async def create(self, repository: str, algorithm: str) -> str:
        upload = uuid.uuid4().hex
        await self._database.write(uploads.begin, upload, repository, time.time())
        self._remember(upload, new_hasher(algorithm), 0)
        return upload

    async def offset(self, repository: str, upload: str) -> int:
        return (await self._find(repository, upload)).size

    async def append(self, repository: str, upload: str, start: int | None, body: Body) -> int:
        before = await self._find(repository, upload)
        if start is not None and start != before.size:
            raise out_of_order(start, before.size)
        hasher, covered = self._hashers.pop(upload) or (new_hasher(DEFAULT), 0)
        key = f"{upload[:2]}/{upload}/{before.size:020d}-{uuid.uuid4().hex[:8]}"
        writer = SegmentWriter(self._store, key, hasher)
        try:
            async for piece in body:
                await writer.write(piece)
        finally:
            segments = (*decode(before.segments), *await writer.close())
            after = Unfinished(encode(segments), before.size + writer.size)
            grown = await self._database.write(uploads.grow, upload, before, after, time.time())
            if not grown:
                await self.remove(self.names(encode(segments[len(decode(before.segments)) :])))
                raise busy((await self._find(repository, upload)).size)
            if covered == before.size:
                self._remember(upload, hasher, after.size)
        return after.size

    async def finish(self, repository: str, upload: str, digest: Digest) -> Placed:
        state = await self._find(repository, upload)
        segments = decode(state.segments)
        hasher, covered = self._hashers.pop(upload) or (None, -1)
        if hasher is None or covered != state.size or hasher.name != digest.algorithm:
            hasher = await self._hash_again(repository, upload, state, digest.algorithm)
        actual = Digest.from_hasher(hasher)
        if actual != digest:
            await self.cancel(repository, upload)
            raise wrong_digest(digest, actual)
        if all(not segment.key for segment in segments):
            return Placed("", state.size, b"".join(segment.data for segment in segments), state.segments)
        return Placed(state.segments, state.size, None, state.segments)

    async def cancel(self, repository: str, upload: str) -> None:
        await self._find(repository, upload)
        self._hashers.pop(upload)
        segments = await self._database.write(uploads.drop, upload)
        if segments is None:
            raise upload_unknown(upload)
        await self.remove(self.names(segments))

    def file(self, location: str) -> Path | None:
        return None

    async def stream(self, location: str, first: int, count: int) -> AsyncIterator[bytes]:
        for segment, start, end in cut(decode(location), first, count):
            if not segment.key:
                yield segment.data[start:end]
                continue
            try:
                answer = await obstore.get_async(self._store, segment.key, options={"range": (start, end)})
                async for piece in answer.stream(min_chunk_size=_READ):
                    yield bytes(piece)
            except BaseError as error:
                raise trouble(error) from error

    async def url(self, location: str) -> str | None:
        segments = decode(location)
        if len(segments) != 1 or not segments[0].key:
            return None
        if not isinstance(self._store, S3Store | GCSStore | AzureStore):
            return None
        try:
            return await obstore.sign_async(self._store, "GET", segments[0].key, _URL_LIFE)
        except BaseError:
            return None  # these credentials cannot sign: the registry serves the bytes itself

    def names(self, location: str) -> list[str]:
        return [segment.key for segment in decode(location or "[]") if segment.key]

    async def remove(self, names: Iterable[str]) -> None:
        for name in names:
            try:
                await obstore.delete_async(self._store, name)
            except (NotFoundError, FileNotFoundError):
                continue
            except BaseError as error:
                raise trouble(error) from error

    async def expire(self, before: float) -> int:
        count = 0
        while stale := await self._database.read(uploads.stale, before, _BATCH):
            for upload in stale:
                segments = await self._database.write(uploads.drop, upload, before)
                if segments is not None:
                    await self.remove(self.names(segments))
                    count += 1
        return count

    async def orphans(self, referred: set[str], before: float) -> list[str]:
        names = []
        try:
            async for page in obstore.list(self._store):
                for item in page:
                    if item["path"] not in referred and item["last_modified"].timestamp() < before:
                        names.append(item["path"])
        except BaseError as error:
            raise trouble(error) from error
        return names

    async def check(self) -> None:
        try:
            await obstore.head_async(self._store, "ready")
        except (NotFoundError, FileNotFoundError):
            return
        except BaseError as error:
            raise trouble(error) from error

    async def close(self) -> None:
        self._hashers.clear()

    async def _find(self, repository: str, upload: str) -> Unfinished:
        state = await self._database.read(uploads.find, upload, repository)
        if state is None:
            raise upload_unknown(upload)
        return state

    async def _hash_again(self, repository: str, upload: str, state: Unfinished, algorithm: str) -> _Hash:
        hasher = new_hasher(algorithm)
        try:
            async for piece in self.stream(state.segments, 0, state.size):
                await asyncio.to_thread(hasher.update, piece)
        except Unavailable:
            await self._find(repository, upload)  # someone ended it, and its objects are gone
            raise
        return hasher

    def _remember(self, upload: str, hasher: _Hash, size: int) -> None:
        self._hashers.put(upload, (hasher, size))


def connect(url: str) -> ObjectStore:
    """Return the store of a URL, without connecting to it. Raise InvalidInput for a malformed or unknown URL."""
    parts = urlsplit(url)
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    plain = str(options.get("endpoint", "")).startswith("http:")
    bare = parts._replace(query="").geturl()
    retries = {"max_retries": 6, "retry_timeout": timedelta(seconds=30)}
    if parts.scheme == "file":
        return LocalStore(parts.path, mkdir=True)
    make: Callable[..., ObjectStore] = from_url
    try:
        return make(bare, config=options, client_options={"allow_http": plain}, retry_config=retries)
    except (BaseError, ValueError, TypeError) as error:
        raise InvalidInput(f"The storage {bare} is not understood: {type(error).__name__}") from error
