"""Queries about the bytes a repository may have.

Blobs, manifests and what unfinished uploads reserved count together. Whoever adds bytes to a repository with a quota
takes the repository's lock first, so two writers cannot both take the same room.
"""

from __future__ import annotations

from lamina.errors import NoSpace
from lamina.registry.faults import DENIED
from lamina.registry.metadata.database import Session


def lock(session: Session, repository: str) -> None:
    """Let no one else add bytes to a repository until this transaction ends. Take it before any row changes."""
    session.lock(f"quota {repository}")


def usage(session: Session, repository: str) -> int:
    """Return the bytes of a repository's blobs and manifests, and those that its unfinished uploads reserved."""
    row = session.one(
        "SELECT COALESCE((SELECT bytes FROM repositories WHERE name = ?), 0) "
        "+ COALESCE((SELECT SUM(bytes) FROM reservations WHERE repository = ?), 0)",
        repository,
        repository,
    )
    return int(row[0]) if row else 0


def check(session: Session, repository: str, quota: int) -> None:
    """Raise NoSpace, which rolls the transaction back, if the repository has more than `quota` bytes now."""
    size = usage(session, repository)
    if size > quota:
        raise over_quota(repository, size, quota)


def reserve(session: Session, repository: str, upload: str, least: int, most: int, quota: int, now: float) -> int:
    """Reserve up to `most` bytes for an upload, and return how many. Raise NoSpace if not even `least` are free."""
    lock(session, repository)
    size = usage(session, repository)
    if size + least > quota:
        raise over_quota(repository, size + least, quota)
    granted = min(most, quota - size)
    session.run(
        "INSERT INTO reservations VALUES (?, ?, ?, ?) ON CONFLICT (upload) "
        "DO UPDATE SET bytes = reservations.bytes + excluded.bytes, updated = excluded.updated",
        upload,
        repository,
        granted,
        now,
    )
    return granted


def release(session: Session, upload: str, count: int) -> None:
    """Give back bytes that an upload reserved and did not use."""
    session.run("UPDATE reservations SET bytes = bytes - ? WHERE upload = ?", count, upload)


def forget(session: Session, upload: str) -> None:
    """Give back all bytes that an upload reserved, because it became a blob or is gone."""
    session.run("DELETE FROM reservations WHERE upload = ?", upload)


def idle(session: Session, before: float, limit: int) -> list[tuple[str, str]]:
    """Return uploads, with their repositories, that reserved nothing since `before`, in the order of their ids."""
    rows = session.all(
        "SELECT upload, repository FROM reservations WHERE updated < ? ORDER BY upload LIMIT ?", before, limit
    )
    return [(row[0], row[1]) for row in rows]


def over_quota(repository: str, size: int, quota: int) -> NoSpace:
    """Return the error for a push beyond the quota."""
    return NoSpace(
        f"{repository} would have {size} bytes, more than its quota of {quota}",
        advice="Delete images that are not needed and collect the garbage, or raise the quota",
        status=403,
        code=DENIED,
    )
