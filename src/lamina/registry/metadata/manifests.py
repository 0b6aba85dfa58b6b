"""Queries about manifests, what they refer to, and what refers to them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import NamedTuple

from lamina.errors import Conflict, Forbidden, NotFound
from lamina.registry.faults import MANIFEST_BLOB_UNKNOWN, TAG_IMMUTABLE
from lamina.registry.metadata import quotas
from lamina.registry.metadata.database import Session
from lamina.registry.pushed_manifest import NewManifest


class StoredManifest(NamedTuple):
    """A manifest as it is served. `raw` is None where only the head was asked for."""

    digest: str
    media_type: str
    size: int
    raw: bytes | None


_FIND = (
    "SELECT m.digest, m.media_type, m.size, {raw} FROM manifests m {documents} "
    "WHERE m.repository = ? AND m.digest = {digest} AND m.deleted IS NULL"
)
_BY_TAG = "(SELECT digest FROM tags WHERE repository = ? AND name = ?)"
_DOCUMENTS = "JOIN documents d ON d.digest = m.digest"
_QUERIES = {
    (by_tag, with_raw): _FIND.format(
        raw="d.raw" if with_raw else "NULL",
        documents=_DOCUMENTS if with_raw else "",
        digest=_BY_TAG if by_tag else "?",
    )
    for by_tag in (False, True)
    for with_raw in (False, True)
}


def find_by_digest(session: Session, repository: str, digest: str, with_raw: bool) -> StoredManifest | None:
    """Return the manifest with this digest."""
    row = session.one(_QUERIES[False, with_raw], repository, digest)
    return StoredManifest(*row) if row else None


def find_by_tag(session: Session, repository: str, tag: str, with_raw: bool) -> StoredManifest | None:
    """Return the manifest with this tag."""
    row = session.one(_QUERIES[True, with_raw], repository, repository, tag)
    return StoredManifest(*row) if row else None


def put(
    session: Session,
    repository: str,
    new: NewManifest,
    tags: Sequence[str],
    immutable: Sequence[str],
    quota: int | None,
    now: float,
) -> None:
    """Store a manifest and point `tags` at it, all or nothing.

    Raise NotFound where something it needs is missing, Conflict where a tag among `immutable` names another one,
    NoSpace beyond `quota` bytes.
    """
    if quota is not None:
        quotas.lock(session, repository)
    session.run("INSERT INTO repositories VALUES (?, 0, ?) ON CONFLICT (name) DO NOTHING", repository, now)
    _check_needs(session, repository, new)
    session.run("INSERT INTO documents VALUES (?, ?) ON CONFLICT (digest) DO NOTHING", new.digest, new.raw)
    if _insert(session, repository, new, now):
        session.run("UPDATE repositories SET bytes = bytes + ? WHERE name = ?", len(new.raw), repository)
        if quota is not None:
            quotas.check(session, repository, quota)
    kinds = [("blob", new.blobs), ("child", new.children), ("subject", (new.subject,) if new.subject else ())]
    for kind, digests in kinds:
        for digest in dict.fromkeys(digests):
            session.run(
                "INSERT INTO refs VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", repository, new.digest, kind, digest
            )
    for tag in tags:
        _tag(session, repository, tag, new.digest, tag in immutable, now)


def delete(session: Session, repository: str, digest: str, immutable: Callable[[str], bool], now: float) -> bool:
    """Delete a manifest with its tags, and return False where there was none. `undelete` works until it is collected.

    Raise Forbidden where one of the tags is `immutable`: it could name another manifest afterwards.
    """
    update = "UPDATE manifests SET deleted = ? WHERE repository = ? AND digest = ? AND deleted IS NULL"
    if not session.run(update, now, repository, digest):  # from here on, nobody else can give it a tag
        return False
    rows = session.all("DELETE FROM tags WHERE repository = ? AND digest = ? RETURNING name", repository, digest)
    tags = sorted(row[0] for row in rows)
    if fixed := [tag for tag in tags if immutable(tag)]:
        raise tag_immutable(repository, fixed[0])
    update = "UPDATE manifests SET lost_tags = ? WHERE repository = ? AND digest = ?"
    session.run(update, json.dumps(tags) if tags else "", repository, digest)
    return True


def tag_immutable(repository: str, tag: str) -> Forbidden:
    """Return the error for deleting an immutable tag, or the manifest that it names."""
    return Forbidden(f"The tag {tag} of {repository} is immutable", code=TAG_IMMUTABLE, detail={"tag": tag})


def undelete(session: Session, repository: str, digest: str, now: float) -> list[str] | None:
    """Bring a deleted manifest back, with those of its tags that nothing else took; None where it is gone for good."""
    row = session.one(
        "SELECT lost_tags FROM manifests WHERE repository = ? AND digest = ? AND deleted IS NOT NULL",
        repository,
        digest,
    )
    if row is None:
        return None
    session.run(
        "UPDATE manifests SET deleted = NULL, lost_tags = '' WHERE repository = ? AND digest = ?", repository, digest
    )
    brought = []
    for tag in json.loads(row[0] or "[]"):
        insert = "INSERT INTO tags VALUES (?, ?, ?, ?) ON CONFLICT (repository, name) DO NOTHING"
        if session.run(insert, repository, tag, digest, now):
            brought.append(tag)
    return brought


def referrers(
    session: Session, repository: str, subject: str, artifact_type: str, last: str, limit: int
) -> list[tuple[str, bytes]]:
    """Return digests and descriptors of the manifests about `subject`, by digest, after `last`."""
    condition, extra = (" AND artifact_type = ?", [artifact_type]) if artifact_type else ("", [])
    rows = session.all(
        "SELECT digest, descriptor FROM manifests WHERE repository = ? AND subject = ? AND deleted IS NULL "
        f"AND digest > ?{condition} ORDER BY digest LIMIT ?",
        repository,
        subject,
        last,
        *extra,
        limit,
    )
    return [(row[0], bytes(row[1])) for row in rows]


def note_pulls(session: Session, pulls: Sequence[tuple[str, str, float]]) -> None:
    """Remember when manifests were last pulled, for retention: repository, digest, seconds since the epoch."""
    for repository, digest, when in pulls:
        session.run(
            "UPDATE manifests SET pulled = ? WHERE repository = ? AND digest = ? AND pulled < ?",
            when,
            repository,
            digest,
            when,
        )


def _insert(session: Session, repository: str, new: NewManifest, now: float) -> bool:
    """Store a manifest's row; return whether it is new. A deleted one comes back, without its tags."""
    inserted = session.run(
        "INSERT INTO manifests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, '') "
        "ON CONFLICT (repository, digest) DO NOTHING",
        repository,
        new.digest,
        new.media_type,
        len(new.raw),
        new.artifact_type,
        new.subject,
        new.descriptor,
        now,
        now,
    )
    if not inserted:
        update = "UPDATE manifests SET media_type = ?, pushed = ?, pulled = ?, deleted = NULL, lost_tags = '' "
        session.run(f"{update}WHERE repository = ? AND digest = ?", new.media_type, now, now, repository, new.digest)
    return bool(inserted)


def _check_needs(session: Session, repository: str, new: NewManifest) -> None:
    lookups = (
        (new.needed_blobs, "SELECT 1 FROM links WHERE repository = ? AND digest = ? AND deleted IS NULL"),
        (new.needed_children, "SELECT 1 FROM manifests WHERE repository = ? AND digest = ? AND deleted IS NULL"),
    )
    missing = [
        digest
        for digests, sql in lookups
        for digest in dict.fromkeys(digests)
        if session.one(sql, repository, digest) is None
    ]
    if missing:
        raise NotFound(
            f"The manifest refers to {missing[0]}, which {repository} does not have",
            code=MANIFEST_BLOB_UNKNOWN,
            detail={"digests": missing[:100]},
        )


def _tag(session: Session, repository: str, tag: str, digest: str, immutable: bool, now: float) -> None:
    same = " WHERE tags.digest = excluded.digest" if immutable else ""
    changed = session.run(
        "INSERT INTO tags VALUES (?, ?, ?, ?) ON CONFLICT (repository, name) "
        f"DO UPDATE SET digest = excluded.digest, updated = excluded.updated{same}",
        repository,
        tag,
        digest,
        now,
    )
    if not changed:
        raise Conflict(f"The tag {tag} of {repository} is immutable", code=TAG_IMMUTABLE, detail={"tag": tag})


def list_tags(session: Session, repository: str, last: str, limit: int) -> list[str]:
    """Return tags after `last`, in byte order."""
    rows = session.all(
        "SELECT name FROM tags WHERE repository = ? AND name > ? ORDER BY name LIMIT ?", repository, last, limit
    )
    return [row[0] for row in rows]


def tag_updated(session: Session, repository: str, tag: str) -> float | None:
    """Return when the tag was set last, in seconds since the epoch; None where there is none."""
    row = session.one("SELECT updated FROM tags WHERE repository = ? AND name = ?", repository, tag)
    return float(row[0]) if row else None


def delete_tag(session: Session, repository: str, tag: str) -> str | None:
    """Take a tag away, and return the digest it had, None where there was none."""
    rows = session.all("DELETE FROM tags WHERE repository = ? AND name = ? RETURNING digest", repository, tag)
    return str(rows[0][0]) if rows else None
