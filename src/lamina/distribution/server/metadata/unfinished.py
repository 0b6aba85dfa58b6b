"""Queries about uploads whose state lives in the database, so that they may continue on any replica."""

from __future__ import annotations

from typing import NamedTuple

from lamina.distribution.server.metadata.database import Session


class Unfinished(NamedTuple):
    """An upload: what it is made of, as the storage wrote it down, and its size in bytes."""

    segments: str
    size: int


def begin(session: Session, upload: str, repository: str, now: float) -> None:
    """Note a new, empty upload."""
    session.run("INSERT INTO uploads VALUES (?, ?, '[]', 0, ?)", upload, repository, now)


def find(session: Session, upload: str, repository: str) -> Unfinished | None:
    """The upload's state."""
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


def drop(session: Session, upload: str) -> str | None:
    """Forget an upload; gives its segments."""
    row = session.one("SELECT segments FROM uploads WHERE id = ?", upload)
    session.run("DELETE FROM uploads WHERE id = ?", upload)
    return str(row[0]) if row else None


def stale(session: Session, before: float, limit: int) -> list[str]:
    """Uploads that nobody touched since `before`."""
    return [row[0] for row in session.all("SELECT id FROM uploads WHERE updated < ? LIMIT ?", before, limit)]


def all_segments(session: Session) -> list[str]:
    """The segments of all uploads."""
    return [row[0] for row in session.all("SELECT segments FROM uploads")]
