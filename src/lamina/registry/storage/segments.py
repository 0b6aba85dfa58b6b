"""What uploads and blobs in an object store are made of: objects behind each other, each written by one request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
import obstore
from obstore.exceptions import BaseError

from lamina.errors import Unavailable
from lamina.registry.storage.protocol import SMALL

if TYPE_CHECKING:
    from hashlib import _Hash

    from obstore.store import ObjectStore

_PART = 8 << 20  # bytes of one part of a large object, and of what is sent in one piece
_AT_ONCE = 4  # parts of one object that are under way
_INLINE = 64 << 10  # bytes that are cheaper to hash on the spot


class Segment(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """`size` bytes: an object's, or `data` themselves (base64 in JSON)."""

    key: str
    size: int
    data: bytes = b""


Segments = tuple[Segment, ...]


def encode(segments: Segments) -> str:
    """Return segments as text for the database."""
    return msgspec.json.encode(segments).decode()


def decode(text: str) -> Segments:
    """Return segments from text in the database."""
    return msgspec.json.decode(text, type=Segments)


def cut(segments: Segments, first: int, count: int) -> Iterator[tuple[Segment, int, int]]:
    """Yield the parts that make up `count` bytes from `first` on: segment, first byte in it, end in it."""
    begin = 0
    for segment in segments:
        start, end = max(first, begin), min(first + count, begin + segment.size)
        if start < end:
            yield segment, start - begin, end - begin
        begin += segment.size


class SegmentWriter:
    """Writes one segment: on the spot where it is tiny, one object where it is small, in parts where it is large.

    `hasher` covers all of it once `close` has returned. Raises Unavailable where the store does not do its work.
    """

    def __init__(self, store: ObjectStore, key: str, hasher: _Hash) -> None:
        self._store = store
        self._key = key
        self._hasher = hasher
        self._waiting: list[bytes] = []
        self._buffered = 0
        self._parts: obstore.AsyncWritableFile | None = None
        self.size = 0

    async def write(self, piece: bytes) -> None:
        """Take the next bytes. Wait while enough parts are under way."""
        self.size += len(piece)
        self._buffered += len(piece)
        self._waiting.append(piece)
        if self._buffered >= _PART:
            await self._send()

    async def close(self) -> Segments:
        """Complete the segment. Return no segment if nothing was written."""
        try:
            if self._parts is not None:
                await self._send()
                await self._parts.close()
                return (Segment(self._key, self.size),)
            content = await self._take()
            if self.size <= SMALL:
                return (Segment("", self.size, content),) if self.size else ()
            await obstore.put_async(self._store, self._key, content, use_multipart=False)
            return (Segment(self._key, self.size),)
        except BaseError as error:
            raise trouble(error) from error

    async def _send(self) -> None:
        try:
            if self._parts is None:
                self._parts = obstore.open_writer_async(
                    self._store, self._key, buffer_size=_PART, max_concurrency=_AT_ONCE
                )
            await self._parts.write(await self._take())
        except BaseError as error:
            raise trouble(error) from error

    async def _take(self) -> bytes:
        """Hash the pending bytes, and return them."""
        content = b"".join(self._waiting)
        self._waiting, self._buffered = [], 0
        if len(content) > _INLINE:
            await asyncio.to_thread(self._hasher.update, content)
        else:
            self._hasher.update(content)
        return content


def trouble(error: BaseError) -> Unavailable:
    """Return the error for a store that fails; its own words may hold secrets."""
    return Unavailable(f"The registry's object store does not do its work ({type(error).__name__})")
