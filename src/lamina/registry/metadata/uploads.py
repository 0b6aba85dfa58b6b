"""Queries about uploads whose state lives in the database, so that they may continue on any replica."""

from __future__ import annotations

import math
from typing import NamedTuple

from lamina.registry.metadata.database import Session


class Unfinished(NamedTuple):
    """An upload: what it is made of, as the storage wrote it down, and its size in bytes."""

    segments: str
    size: int


def begin(session: Session, upload: str, repository: str, now: float) -> None:
    """Note a new, empty upload."""
    session.run("INSERT INTO uploads VALUES (?, ?, '[]', 0, ?)", upload, repository, now)


def find(session: Session, upload: str, repository: str) -> Unfinished | None:
    """Return the upload's state."""
    row = session.one("SELECT segments, size FROM uploads WHERE id = ? AND repository = ?", upload, repository)
    return Unfinished(*row) if row else None


def grow(session: Session, upload: str, before: Unfinished, after: Unfinished, now: float) -> bool:
    """Record a further segment; False where someone else was first."""
    changed = session.run(
        "UPDATE uploads SET segments = ?, size = ?, updated = ? WHERE id = ? AND size = ? AND segments = ?",
        after.segments,
        after.size,
        now,
        upload,
        before.size,
        before.segments,
    )
    return bool(changed)


def take(session: Session, upload: str, segments: str) -> bool:
    """Forget an upload that still consists of these segments, which the caller then owns. Return whether it does."""
    return bool(session.run("DELETE FROM uploads WHERE id = ? AND segments = ?", upload, segments))


def drop(session: Session, upload: str, before: float = math.inf) -> str | None:
    """Forget an upload that nobody touched since `before`, and return its segments, which the caller then owns.

    This is one statement, because someone else could take the upload between a query and a deletion.
    """
    rows = session.all("DELETE FROM uploads WHERE id = ? AND updated < ? RETURNING segments", upload, before)
    return str(rows[0][0]) if rows else None


def stale(session: Session, before: float, limit: int) -> list[str]:
    """Return uploads that nobody touched since `before`."""
    return [row[0] for row in session.all("SELECT id FROM uploads WHERE updated < ? LIMIT ?", before, limit)]
