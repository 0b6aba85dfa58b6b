"""Queries that find and remove what nothing refers to.

A manifest that was deleted goes after the grace period, unless a live index lists it or a live manifest is about it. A
link goes when no manifest of its repository refers to the blob and nobody asked for it during the grace period. A blob
goes with its last link. All of it happens in write transactions, so a push either comes first and keeps what it needs,
or comes later and finds that it is gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from lamina.registry.metadata.database import Session

BATCH = 500  # rows in one transaction, so that pushes need not wait long

_LIVE_REF = (
    "EXISTS (SELECT 1 FROM refs r JOIN manifests live ON live.repository = r.repository AND live.digest = r.manifest "
    "WHERE r.repository = m.repository AND r.digest = m.digest AND r.kind IN ('child', 'subject') "
    "AND live.deleted IS NULL)"
)
_REFERRED = (
    "EXISTS (SELECT 1 FROM refs r WHERE r.repository = l.repository AND r.digest = l.digest AND r.kind = 'blob')"
)
_LOST_BLOBS = (
    "SELECT b.digest, b.size, b.location FROM blobs b WHERE b.created < ? "
    "AND NOT EXISTS (SELECT 1 FROM links l WHERE l.digest = b.digest) LIMIT ?"
)


@dataclass(slots=True)
class Swept:
    """What a collection removed, or would remove: counts, and bytes of blobs."""

    manifests: int = 0
    links: int = 0
    blobs: int = 0
    bytes: int = 0
    uploads: int = 0
    orphans: int = 0


class LostBlob(NamedTuple):
    """A blob without links."""

    digest: str
    size: int
    location: str


def dead_manifests(session: Session, before: float, limit: int) -> list[tuple[str, str]]:
    """Return repository and digest of deleted manifests that may go."""
    rows = session.all(
        f"SELECT m.repository, m.digest FROM manifests m WHERE m.deleted < ? AND NOT {_LIVE_REF} LIMIT ?", before, limit
    )
    return [(row[0], row[1]) for row in rows]


def purge_manifests(session: Session, before: float) -> int:
    """Remove a batch of dead manifests for good, and return how many."""
    dead = dead_manifests(session, before, BATCH)
    for repository, digest in dead:
        session.run("DELETE FROM refs WHERE repository = ? AND manifest = ?", repository, digest)
        session.run(
            "UPDATE repositories SET bytes = bytes - (SELECT size FROM manifests WHERE repository = ? AND digest = ?) "
            "WHERE name = ?",
            repository,
            digest,
            repository,
        )
        session.run("DELETE FROM manifests WHERE repository = ? AND digest = ?", repository, digest)
        _purge_document(session, digest)
    return len(dead)


def idle_links(session: Session, before: float, limit: int) -> list[tuple[str, str]]:
    """Return repository and digest of links that nothing needs."""
    rows = session.all(
        f"SELECT l.repository, l.digest FROM links l WHERE l.used < ? AND (l.deleted IS NULL OR l.deleted < ?) "
        f"AND NOT {_REFERRED} LIMIT ?",
        before,
        before,
        limit,
    )
    return [(row[0], row[1]) for row in rows]


def purge_links(session: Session, before: float) -> int:
    """Remove a batch of idle links and return their bytes to the quotas; return how many."""
    idle = idle_links(session, before, BATCH)
    for repository, digest in idle:
        session.run("DELETE FROM links WHERE repository = ? AND digest = ?", repository, digest)
        session.run(
            "UPDATE repositories SET bytes = bytes - (SELECT size FROM blobs WHERE digest = ?) WHERE name = ? "
            "AND EXISTS (SELECT 1 FROM blobs WHERE digest = ?)",
            digest,
            repository,
            digest,
        )
    return len(idle)


def lost_blobs(session: Session, before: float, limit: int) -> list[LostBlob]:
    """Return blobs without links."""
    return [LostBlob(*row) for row in session.all(_LOST_BLOBS, before, limit)]


def purge_blobs(session: Session, before: float, now: float) -> list[LostBlob]:
    """Forget a batch of lost blobs; their locations are noted as trash until the files are gone."""
    unused = lost_blobs(session, before, BATCH)
    for blob in unused:
        session.run("DELETE FROM blobs WHERE digest = ?", blob.digest)
        if blob.location:
            session.run("INSERT INTO trash VALUES (?, ?) ON CONFLICT (location) DO NOTHING", blob.location, now)
        else:
            _purge_document(session, blob.digest)
    return unused


def purge_empty_repositories(session: Session) -> int:
    """Forget repositories that have nothing any more."""
    return session.run(
        "DELETE FROM repositories WHERE NOT EXISTS (SELECT 1 FROM links WHERE repository = repositories.name) "
        "AND NOT EXISTS (SELECT 1 FROM manifests WHERE repository = repositories.name)"
    )


def trash(session: Session, limit: int) -> list[str]:
    """Return locations whose content is to be removed."""
    return [row[0] for row in session.all("SELECT location FROM trash LIMIT ?", limit)]


def emptied(session: Session, locations: list[str]) -> None:
    """Forget locations whose content has been removed."""
    for location in locations:
        session.run("DELETE FROM trash WHERE location = ?", location)


def locations(session: Session) -> set[str]:
    """Return all locations that are still read, and those of uploads, in one query, because uploads become blobs."""
    sources = ("SELECT location FROM blobs", "SELECT location FROM trash", "SELECT segments FROM uploads")
    return {row[0] for row in session.all(" UNION ".join(sources))}


def _purge_document(session: Session, digest: str) -> None:
    session.run(
        "DELETE FROM documents WHERE digest = ? AND NOT EXISTS (SELECT 1 FROM manifests WHERE digest = ?) "
        "AND NOT EXISTS (SELECT 1 FROM blobs WHERE digest = ?)",
        digest,
        digest,
        digest,
    )
