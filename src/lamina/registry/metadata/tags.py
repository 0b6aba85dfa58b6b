"""Queries about tags."""

from __future__ import annotations

from lamina.registry.metadata.database import Session


def list_tags(session: Session, repository: str, last: str, limit: int) -> list[str]:
    """Tags after `last`, in byte order."""
    rows = session.all(
        "SELECT name FROM tags WHERE repository = ? AND name > ? ORDER BY name LIMIT ?", repository, last, limit
    )
    return [row[0] for row in rows]


def updated(session: Session, repository: str, tag: str) -> float | None:
    """When the tag was set last, in seconds since the epoch; None where there is none."""
    row = session.one("SELECT updated FROM tags WHERE repository = ? AND name = ?", repository, tag)
    return float(row[0]) if row else None


def delete_tag(session: Session, repository: str, tag: str) -> str | None:
    """Take a tag away; gives the digest it had, None where there was none."""
    rows = session.all("DELETE FROM tags WHERE repository = ? AND name = ? RETURNING digest", repository, tag)
    return str(rows[0][0]) if rows else None
