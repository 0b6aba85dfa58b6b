"""Queries for administrators: what is there."""

from __future__ import annotations

from typing import NamedTuple

from lamina.errors import NotFound
from lamina.registry.metadata.database import Session


class ListedRepository(NamedTuple):
    """A repository: `bytes` of its blobs, and how many manifests and tags it has."""

    name: str
    bytes: int
    manifests: int
    tags: int


class ListedTag(NamedTuple):
    """A tag and what it names; times are seconds since the epoch."""

    name: str
    digest: str
    media_type: str
    updated: float
    pulled: float


class StoredBlob(NamedTuple):
    """Content that the registry keeps: in the storage, or in the database where it has no location."""

    digest: str
    size: int
    location: str


class ListedManifest(NamedTuple):
    """A manifest as retention sees it; `tags` is "" for none, else names joined by spaces."""

    digest: str
    pushed: float
    pulled: float
    tags: tuple[str, ...]
    kept: bool


def repositories(session: Session) -> list[ListedRepository]:
    """Return all repositories, by name."""
    rows = session.all(
        "SELECT r.name, r.bytes, "
        "(SELECT COUNT(*) FROM manifests m WHERE m.repository = r.name AND m.deleted IS NULL), "
        "(SELECT COUNT(*) FROM tags t WHERE t.repository = r.name) FROM repositories r ORDER BY r.name"
    )
    return [ListedRepository(*row) for row in rows]


def tags(session: Session, repository: str) -> list[ListedTag]:
    """Return a repository's tags, by name."""
    rows = session.all(
        "SELECT t.name, t.digest, m.media_type, t.updated, m.pulled FROM tags t "
        "JOIN manifests m ON m.repository = t.repository AND m.digest = t.digest "
        "WHERE t.repository = ? ORDER BY t.name",
        repository,
    )
    return [ListedTag(*row) for row in rows]


def blobs(session: Session, last: str, limit: int) -> list[StoredBlob]:
    """Return blobs of the registry after `last`, by digest."""
    rows = session.all("SELECT digest, size, location FROM blobs WHERE digest > ? ORDER BY digest LIMIT ?", last, limit)
    return [StoredBlob(*row) for row in rows]


def documents(session: Session, last: str, limit: int) -> list[StoredBlob]:
    """Return manifests and other small content after `last`, by digest."""
    rows = session.all(
        "SELECT digest, LENGTH(raw), '' FROM documents WHERE digest > ? ORDER BY digest LIMIT ?", last, limit
    )
    return [StoredBlob(*row) for row in rows]


def document(session: Session, digest: str) -> bytes:
    """Return content that lives in the database. Raise NotFound."""
    row = session.one("SELECT raw FROM documents WHERE digest = ?", digest)
    if row is None:
        raise NotFound(f"{digest} is not in the database")
    return bytes(row[0])


def manifests(session: Session, repository: str) -> list[ListedManifest]:
    """Return a repository's live manifests, newest first. Those in an index, or about another one, are `kept`."""
    rows = session.all(
        "SELECT m.digest, m.pushed, m.pulled, m.subject, EXISTS (SELECT 1 FROM refs r JOIN manifests live "
        "ON live.repository = r.repository AND live.digest = r.manifest WHERE r.repository = m.repository "
        "AND r.digest = m.digest AND r.kind = 'child' AND live.deleted IS NULL) "
        "FROM manifests m WHERE m.repository = ? AND m.deleted IS NULL ORDER BY m.pushed DESC, m.digest",
        repository,
    )
    names: dict[str, list[str]] = {}
    for name, digest in session.all("SELECT name, digest FROM tags WHERE repository = ? ORDER BY name", repository):
        names.setdefault(digest, []).append(name)
    return [
        ListedManifest(digest, pushed, pulled, tuple(names.get(digest, ())), bool(child) or subject is not None)
        for digest, pushed, pulled, subject, child in rows
    ]
