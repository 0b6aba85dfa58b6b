"""Queries about repositories and the blobs they link to."""

from __future__ import annotations

from typing import NamedTuple

from lamina.errors import NotFound
from lamina.registry.faults import BLOB_UNKNOWN
from lamina.registry.metadata import quotas, uploads
from lamina.registry.metadata.database import Session


class Placed(NamedTuple):
    """Where a storage put a finished upload, and its size in bytes.

    Small content has no location: it is handed over as `content`, to live in the database. `segments` is what the
    upload's row said when the digest was verified, and None for storages whose uploads have no row: those are taken
    already.
    """

    location: str
    size: int
    content: bytes | None = None
    segments: str | None = None


class Blob(NamedTuple):
    """A blob as a repository sees it: `size` in bytes, `location` for the storage, `used` when last asked for."""

    size: int
    location: str
    used: float


def exists(session: Session, repository: str) -> bool:
    """Return whether anything was ever pushed to the repository."""
    return session.one("SELECT 1 FROM repositories WHERE name = ?", repository) is not None


def catalog(session: Session, last: str, limit: int) -> list[str]:
    """Return names of repositories after `last`, sorted."""
    rows = session.all("SELECT name FROM repositories WHERE name > ? ORDER BY name LIMIT ?", last, limit)
    return [row[0] for row in rows]


def find_blob(session: Session, repository: str, digest: str) -> Blob | None:
    """Return the blob, where the repository has it."""
    row = session.one(
        "SELECT blobs.size, blobs.location, links.used FROM links JOIN blobs ON blobs.digest = links.digest "
        "WHERE links.repository = ? AND links.digest = ? AND links.deleted IS NULL",
        repository,
        digest,
    )
    return Blob(*row) if row else None


def small_content(session: Session, digest: str) -> bytes:
    """Return the content of a blob without a location. Raise NotFound where it was collected meanwhile."""
    row = session.one("SELECT raw FROM documents WHERE digest = ?", digest)
    if row is None:
        raise NotFound(f"The blob {digest} is gone", code=BLOB_UNKNOWN)
    return bytes(row[0])


def add_blob(
    session: Session, repository: str, digest: str, placed: Placed, upload: str, now: float, quota: int | None
) -> str | None:
    """Record the blob that `upload` became and link it. Return the location in force, which may be older.

    Do nothing and return None where someone has cancelled, finished or grown the upload since it was verified.
    """
    if placed.segments is not None and not uploads.take(session, upload, placed.segments):
        return None
    if quota is not None:
        quotas.lock(session, repository)
        quotas.forget(session, upload)
    insert = "INSERT INTO blobs VALUES (?, ?, ?, ?) ON CONFLICT (digest) DO NOTHING"
    session.run(insert, digest, placed.size, placed.location, now)
    if placed.content is not None:
        insert = "INSERT INTO documents VALUES (?, ?) ON CONFLICT (digest) DO NOTHING"
        session.run(insert, digest, placed.content)
    row = session.one("SELECT location FROM blobs WHERE digest = ?", digest)
    link(session, repository, digest, now, quota)
    return str(row[0]) if row else placed.location


def abandon(session: Session, digest: str, placed: Placed, upload: str) -> bool:
    """End an upload whose push was refused. Return whether its bytes can go, because no blob has them."""
    quotas.forget(session, upload)
    if placed.segments is not None:
        return uploads.take(session, upload, placed.segments)
    row = session.one("SELECT location FROM blobs WHERE digest = ?", digest)
    return row is None or row[0] != placed.location


def link(session: Session, repository: str, digest: str, now: float, quota: int | None) -> None:
    """Give a repository a blob that the registry has. Raise NotFound, NoSpace beyond `quota` bytes."""
    if quota is not None:
        quotas.lock(session, repository)
    session.run("INSERT INTO repositories VALUES (?, 0, ?) ON CONFLICT (name) DO NOTHING", repository, now)
    row = session.one("SELECT size FROM blobs WHERE digest = ?", digest)
    if row is None:
        raise NotFound(f"The blob {digest} is not known", code=BLOB_UNKNOWN)
    insert = "INSERT INTO links VALUES (?, ?, ?, NULL) ON CONFLICT (repository, digest) DO NOTHING"
    if not session.run(insert, repository, digest, now):
        update = "UPDATE links SET used = ?, deleted = NULL WHERE repository = ? AND digest = ?"
        session.run(update, now, repository, digest)
    else:
        session.run("UPDATE repositories SET bytes = bytes + ? WHERE name = ?", row[0], repository)
        if quota is not None:
            quotas.check(session, repository, quota)


def mount(
    session: Session, repository: str, digest: str, sources: list[str] | None, now: float, quota: int | None
) -> bool:
    """Link a blob from one of `sources` (any repository where None); False where none of them has it."""
    rows = session.all("SELECT repository FROM links WHERE digest = ? AND deleted IS NULL LIMIT 1000", digest)
    holders = {row[0] for row in rows}
    if not holders or (sources is not None and holders.isdisjoint(sources)):
        return False
    link(session, repository, digest, now, quota)
    return True


def holders_of(session: Session, digest: str) -> list[str]:
    """Return repositories that have the blob, some of them at least."""
    rows = session.all("SELECT repository FROM links WHERE digest = ? AND deleted IS NULL LIMIT 1000", digest)
    return [row[0] for row in rows]


def touch_blob(session: Session, repository: str, digest: str, now: float) -> None:
    """Renew a blob's last use, because a client that was told of the blob relies on it."""
    session.run("UPDATE links SET used = ? WHERE repository = ? AND digest = ?", now, repository, digest)


def unlink_blob(session: Session, repository: str, digest: str, now: float) -> bool:
    """Take a blob from a repository; False where it was not there."""
    return bool(
        session.run(
            "UPDATE links SET deleted = ? WHERE repository = ? AND digest = ? AND deleted IS NULL",
            now,
            repository,
            digest,
        )
    )
