"""Which content nobody needs: the mark of mark-and-sweep, in the size of the change or of the whole store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from lamina.formats.digest import Digest
from lamina.store.content import Row, rows_of


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collect removed (or would): digests, and bytes on disk with the layers' indexes."""

    digests: tuple[Digest, ...] = ()
    bytes: int = 0

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Collected:
        """The sum of these rows."""
        found = list(rows)
        return cls(tuple(Digest.parse(row.digest) for row in found), sum(row.size + row.extra for row in found))


def unneeded(connection: sqlite3.Connection, candidates: Iterable[str], leased: set[str]) -> list[Row]:
    """Of `candidates`, the content without owner, lease or place in the cache; cached forms go with their layer."""
    found: list[Row] = []
    queue = sorted(set(candidates) - leased)
    while queue:
        digest = queue.pop()
        rows = rows_of(connection, digest)
        linked = is_owned(connection, digest)
        is_layer = any(row.kind == "layer" for row in rows)
        for row in rows:
            if row.kind == "blob" and is_layer:
                found.append(row)  # the layer's tar serves these bytes
            elif not linked and not (row.kind == "blob" and _is_cached(connection, digest)):
                found.append(row)
        if is_layer and not linked:
            query = "DELETE FROM cached WHERE layer = ? RETURNING digest"
            freed = {row[0] for row in connection.execute(query, (digest,)).fetchall()}
            queue.extend(freed - leased)
    return found


def is_owned(connection: sqlite3.Connection, digest: str) -> bool:
    """Whether somebody holds `digest`, by itself or in a stack."""
    query = "SELECT 1 FROM link WHERE digest = :it UNION ALL SELECT 1 FROM stack WHERE layer = :it"
    return connection.execute(query, {"it": digest}).fetchone() is not None


def all_candidates(connection: sqlite3.Connection) -> list[str]:
    """Every digest without an owner, and those that are there twice."""
    query = """SELECT digest FROM content WHERE NOT EXISTS (SELECT 1 FROM link WHERE link.digest = content.digest)
               AND NOT EXISTS (SELECT 1 FROM stack WHERE stack.layer = content.digest)
               UNION SELECT digest FROM content GROUP BY digest HAVING count(*) > 1"""
    return [row[0] for row in connection.execute(query)]


def over_cap(connection: sqlite3.Connection, cap: int, leased: set[str]) -> list[Row]:
    """The least recently used cached blobs above `cap` bytes, no longer marked as cached; owned ones do not count."""
    query = """SELECT content.digest, kind, size, extra FROM cached
               JOIN content ON content.digest = cached.digest AND kind = 'blob'
               WHERE NOT EXISTS (SELECT 1 FROM link WHERE link.digest = cached.digest) ORDER BY used DESC"""
    total = 0
    dropped = []
    for row in [Row(*values) for values in connection.execute(query)]:
        total += row.size
        if total > cap and row.digest not in leased:
            connection.execute("DELETE FROM cached WHERE digest = ?", (row.digest,))
            dropped.append(row)
    return dropped


def _is_cached(connection: sqlite3.Connection, digest: str) -> bool:
    return connection.execute("SELECT 1 FROM cached WHERE digest = ?", (digest,)).fetchone() is not None
