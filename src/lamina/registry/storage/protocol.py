"""What the registry asks of a storage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Protocol

from lamina.errors import InvalidInput, NotFound, RangeInvalid
from lamina.formats.digest import Digest
from lamina.registry.faults import BLOB_UPLOAD_UNKNOWN, DIGEST_INVALID
from lamina.registry.metadata.repositories import Placed

Body = AsyncIterator[bytes]
SMALL = 16 << 10  # bytes; content up to this size lives in the database


class Storage(Protocol):
    """Uploads, which grow until they are finished, and finished content, which is named by a location.

    Every location is used once, so removing old content can never hit new content with the same digest.
    """

    minimum_chunk: int  # bytes a chunk should have at least, 0 for any

    async def create(self, repository: str, algorithm: str) -> str:
        """Begin an upload, and return its id."""
        ...

    async def offset(self, repository: str, upload: str) -> int:
        """Return how many bytes an upload has. Raise NotFound."""
        ...

    async def append(self, repository: str, upload: str, start: int | None, body: Body) -> int:
        """Add `body` at the end, and return the new size. What came of a body that breaks off is kept.

        Raise NotFound, RangeInvalid where `start` is not the end or another request is writing.
        """
        ...

    async def finish(self, repository: str, upload: str, digest: Digest) -> Placed:
        """Verify an upload and put it where it stays, crash-proof. Nothing refers to it until the caller commits.

        Raise NotFound, also where someone ends the upload meanwhile; InvalidInput (and drops the upload) where it
        does not have the digest.
        """
        ...

    async def cancel(self, repository: str, upload: str) -> None:
        """Drop an upload. Raise NotFound, also where someone else ends it first."""
        ...

    def file(self, location: str) -> Path | None:
        """Return the content as a local file, where it is one."""
        ...

    def stream(self, location: str, first: int, count: int) -> AsyncIterator[bytes]:
        """Yield `count` bytes from byte `first` on."""
        ...

    async def url(self, location: str) -> str | None:
        """Return a URL that serves the content for a while to anyone, where the storage can make one."""
        ...

    def names(self, location: str) -> list[str]:
        """Return the files or objects that a location consists of, finished or not."""
        ...

    async def remove(self, names: Iterable[str]) -> None:
        """Remove files or objects; fine where they are gone."""
        ...

    async def expire(self, before: float) -> int:
        """Drop uploads that nobody touched since `before`, and return how many."""
        ...

    async def orphans(self, referred: set[str], before: float) -> list[str]:
        """Return the names of files or objects older than `before` that are not among `referred`."""
        ...

    async def check(self) -> None:
        """Raise Unavailable where the storage does not work."""
        ...

    async def close(self) -> None: ...


def upload_unknown(upload: str) -> NotFound:
    """Return the error for an upload that does not exist (any more)."""
    return NotFound(f"The upload {upload[:64]!r} is not known", code=BLOB_UPLOAD_UNKNOWN)


def out_of_order(start: int, size: int) -> RangeInvalid:
    """Return the error for a chunk that does not begin where the upload ends."""
    return RangeInvalid(f"The chunk begins at byte {start}, but the upload has {size}", offset=size)


def busy(size: int) -> RangeInvalid:
    """Return the error for a second writer."""
    return RangeInvalid("Another request is writing to this upload", offset=size)


def wrong_digest(expected: Digest, actual: Digest) -> InvalidInput:
    """Return the error for content that is not what the client said."""
    return InvalidInput(f"The content has digest {actual}, not {expected}", code=DIGEST_INVALID)
