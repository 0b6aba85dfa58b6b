"""One request to the registry, as its handlers see it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, cast

from aiohttp import ClientError, web
from aiohttp.http_exceptions import HttpProcessingError

from lamina.distribution.headers import parse_offsets
from lamina.errors import InvalidInput, RangeInvalid, TooLarge
from lamina.formats.digest import Digest
from lamina.formats.reference import is_path, is_tag
from lamina.registry import faults

OCTETS = "application/octet-stream"
AT_ONCE = 1 << 20  # bytes
SLOWEST = 128  # bytes in a second; a body that comes slower is refused


class Kind(Enum):
    """What a URL of the API points at."""

    BASE = "base"
    CATALOG = "catalog"
    MANIFEST = "manifest"
    BLOB = "blob"
    UPLOADS = "uploads"
    UPLOAD = "upload"
    TAGS = "tags"
    REFERRERS = "referrers"


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed URL path: what it points at, in which repository, and the last part: tag, digest or upload."""

    kind: Kind
    repository: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, and the actions that a token grants by repository. Without a token (None) the configuration decides."""

    name: str = ""
    grants: dict[str, frozenset[str]] | None = field(default=None)


@dataclass(slots=True)
class Call:
    """A request with its target and the one who asks."""

    request: web.BaseRequest
    target: Target
    identity: Identity
    body_timeout: float = 60.0  # seconds without a byte

    @property
    def repository(self) -> str:
        return self.target.repository

    def query(self, name: str) -> str | None:
        """Return the value of a query parameter, where there is one."""
        return self.request.rel_url.query.get(name)

    def digest(self) -> Digest:
        """Return the last part of the path as a digest. Raise InvalidInput."""
        return parse_digest(self.target.reference)

    def reference(self) -> Digest | str:
        """Return the last part of the path as a digest or a tag. Raise InvalidInput."""
        text = self.target.reference
        if ":" in text:
            return parse_digest(text)
        if not is_tag(text):
            raise InvalidInput(f"{text[:130]!r} is not a tag", code=faults.MANIFEST_INVALID)
        return text

    def number(self, name: str) -> int | None:
        """Return a query parameter that must be a natural number. Raise InvalidInput."""
        text = self.query(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise InvalidInput(f"{name} must be a number, not {text[:40]!r}", code="PAGINATION_NUMBER_INVALID")
        return int(text)

    def chunk_start(self) -> int | None:
        """Return where the body belongs by its Content-Range, which must fit its length. Raise RangeInvalid."""
        header = self.request.headers.get("Content-Range")
        if header is None:
            return None
        offsets = parse_offsets(header)
        length = self.request.content_length
        if offsets is None or offsets[1] < offsets[0] or (length is not None and length != offsets[1] - offsets[0] + 1):
            raise RangeInvalid(f"The Content-Range {header[:60]!r} does not fit the body")
        return offsets[0]

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body, piece by piece.

        Raise TimeoutError where the client goes silent or dawdles, ConnectionError where it goes away.
        """
        content = self.request.content
        if (self.request.content_length or AT_ONCE) >= AT_ONCE:
            _read_much(self.request.transport)
        waited, came = 0.0, 0
        while True:
            began = time.monotonic()
            try:
                async with asyncio.timeout(self.body_timeout):
                    piece = await content.readany()
            except (ClientError, HttpProcessingError) as error:
                raise ConnectionError("the client went away") from error
            if not piece:
                return
            waited, came = waited + time.monotonic() - began, came + len(piece)
            if waited > self.body_timeout:
                if came < waited * SLOWEST:
                    raise TimeoutError("the client dawdles")
                waited, came = 0.0, 0
            yield piece

    async def whole(self, limit: int) -> bytes:
        """Return the whole body. Raise TooLarge beyond `limit` bytes."""
        if (self.request.content_length or 0) > limit:
            raise _too_large(limit)
        pieces, size = [], 0
        async for piece in self.pieces():
            size += len(piece)
            if size > limit:
                raise _too_large(limit)
            pieces.append(piece)
        return b"".join(pieces)


def parse_digest(text: str) -> Digest:
    """Return a digest from a URL. Raise InvalidInput with the specification's code."""
    try:
        return Digest.parse(text)
    except InvalidInput as error:
        raise InvalidInput(error.message, code=faults.DIGEST_INVALID) from error


def parse_name(text: str) -> str:
    """Return a repository's name from a URL. Raise InvalidInput with the specification's code."""
    if not is_path(text):
        raise InvalidInput(f"{text[:100]!r} is not the name of a repository", code=faults.NAME_INVALID)
    return text


class _Reading(Protocol):
    """What asyncio's transports have: how many bytes one system call may bring."""

    max_size: int


def _read_much(transport: object) -> None:
    """Read more bytes with each system call from now on, because a large body would need too many calls."""
    if transport is not None:
        cast(_Reading, transport).max_size = AT_ONCE


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body is larger than {limit} bytes", code=faults.SIZE_INVALID)
