"""The rows that say what content there is, the one way it appears and disappears, and which of it nobody needs.

It appears by a rename and then a row, and disappears by the row and then a rename into `ingest/`: whatever moment a
crash picks, there is never a row without its bytes. Both happen under the writer's lock, so the two cannot mix.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lamina.formats.digest import Digest
from lamina.store.database import Database, disk_errors, transaction
from lamina.store.deletions import Deletions
from lamina.store.layout import Layout
from lamina.store.leases import Leases

RESERVED = 512 * 1024  # bytes: the pages of a transaction that removes some thousand things


class Reserve:
    """A file of zeros that is given up when a removal finds the disk full, and made again when there is room."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.refill()

    def give_up(self) -> None:
        """Make room for a removal that begins, if there is none."""
        if self._free() < RESERVED:
            self._path.unlink(missing_ok=True)

    def refill(self) -> None:
        """Hold space back again, if there is enough; a full disk is no error here."""
        if self._path.exists() or self._free() < 4 * RESERVED:
            return
        with suppress(OSError):  # the disk filled up meanwhile
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(fd, 0, RESERVED)
            finally:
                os.close(fd)

    def _free(self) -> int:
        state = os.statvfs(self._path.parent)
        return state.f_bavail * state.f_frsize


@dataclass(frozen=True, slots=True)
class Row:
    """One blob or layer: `size` and `extra` (a layer's index) in bytes."""

    digest: str
    kind: str
    size: int
    extra: int


Change = Callable[[sqlite3.Connection, set[str]], Iterable[Row]]  # gets what leases hold, gives what to remove


class ContentTable:
    """Publishes, finds and drops content. Thread-safe."""

    def __init__(self, layout: Layout, database: Database) -> None:
        self.layout = layout
        self.database = database
        self.leases = Leases(self._present)
        self.reserve = Reserve(layout.reserve)
        self.deletions = Deletions(layout.ingest)
        self.dropped: set[tuple[str, str]] = set()  # since the syncer began its pass; for who holds the writer's lock
        self.changed = threading.Event()  # set after each publication: a pass of the syncer is due

    def find(self, digest: Digest, kind: str) -> Row | None:
        """Return the row of a blob or layer, None where it is not there."""
        with self.database.read() as connection:
            return _row(connection, str(digest), kind)

    def publish(
        self, digest: Digest, kind: str, parts: Sequence[tuple[Path, Path]], size: int, extra: int = 0, files: int = 0
    ) -> None:
        """Move temporaries (`parts`: from, to) into place and write the row; where the row is there, drop them."""
        self.leases.hold_new(str(digest))
        with self.database.write() as connection, disk_errors():
            if _row(connection, str(digest), kind) is None:
                for source, target in parts:
                    source.rename(target)
                query = "INSERT INTO content (digest, kind, size, extra, files) VALUES (?, ?, ?, ?, ?)"
                connection.execute(query, (str(digest), kind, size, extra, files))
        for source, _ in parts:
            source.unlink(missing_ok=True)
        self.changed.set()

    def drop(self, connection: sqlite3.Connection, rows: Iterable[Row]) -> list[Path]:
        """Forget rows, inside the caller's transaction. Return the files that `discard` removes once it committed."""
        files: list[Path] = []
        for row in rows:
            self.dropped.add((row.digest, row.kind))
            connection.execute("DELETE FROM content WHERE digest = ? AND kind = ?", (row.digest, row.kind))
            if row.kind == "blob":
                connection.execute("DELETE FROM cached WHERE digest = ?", (row.digest,))
            files.extend(self.layout.files(Digest.parse(row.digest), row.kind))
        return files

    def aside(self, files: Iterable[Path]) -> list[Path]:
        """Rename dropped files out of the way. This is cheap, and done while the writer's lock is held."""
        moved = []
        for file in files:
            target = self.layout.temporary(".dropped")
            try:
                file.rename(target)
            except FileNotFoundError:
                continue
            except OSError:  # the disk is so full that not even a directory can grow
                file.unlink(missing_ok=True)
                continue
            moved.append(target)
        return moved

    def commit(self, change: Change) -> list[Row]:
        """Run `change` in a write transaction. Remove the content whose rows it returns, and return these rows."""
        self.reserve.give_up()
        with self.database.exclusive(), disk_errors():
            with self.leases.lock, transaction(self.database.writer):
                rows = list(change(self.database.writer, self.leases.held()))
                files = self.drop(self.database.writer, rows)
            moved = self.aside(files)
        self.unlink(moved)
        return rows

    def unlink(self, moved: Sequence[Path]) -> None:
        """Have deleted what `aside` moved, after the writer's lock was given up."""
        self.deletions.delete(moved)
        self.reserve.refill()

    def _present(self, digest: str) -> bool:
        with self.database.read() as connection:
            return connection.execute("SELECT 1 FROM content WHERE digest = ?", (digest,)).fetchone() is not None


def _row(connection: sqlite3.Connection, digest: str, kind: str) -> Row | None:
    query = "SELECT digest, kind, size, extra FROM content WHERE digest = ? AND kind = ?"
    row = connection.execute(query, (digest, kind)).fetchone()
    return Row(*row) if row else None


def rows_of(connection: sqlite3.Connection, digest: str) -> list[Row]:
    """Return what there is under `digest`: a blob, a layer, or both."""
    rows = connection.execute("SELECT digest, kind, size, extra FROM content WHERE digest = ?", (digest,))
    return [Row(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collect removed (or would): digests, and bytes on disk with the layers' indexes."""

    digests: tuple[Digest, ...] = ()
    bytes: int = 0

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Collected:
        """Return the sum of these rows."""
        removed = list(rows)
        return cls(tuple(Digest.parse(row.digest) for row in removed), sum(row.size + row.extra for row in removed))


def unneeded(connection: sqlite3.Connection, candidates: Iterable[str], leased: set[str]) -> list[Row]:
    """Return the `candidates` without owner, lease or place in the cache. Cached forms go with their layer."""
    unneeded_rows: list[Row] = []
    queue = sorted(set(candidates) - leased)
    while queue:
        digest = queue.pop()
        rows = rows_of(connection, digest)
        linked = is_owned(connection, digest)
        is_layer = any(row.kind == "layer" for row in rows)
        for row in rows:
            if row.kind == "blob" and is_layer:
                unneeded_rows.append(row)  # the layer's tar serves these bytes
            elif not linked and not (row.kind == "blob" and _is_cached(connection, digest)):
                unneeded_rows.append(row)
        if is_layer and not linked:
            query = "DELETE FROM cached WHERE layer = ? RETURNING digest"
            freed = {row[0] for row in connection.execute(query, (digest,)).fetchall()}
            queue.extend(freed - leased)
    return unneeded_rows


def is_owned(connection: sqlite3.Connection, digest: str) -> bool:
    """Return whether somebody holds `digest`, by itself or in a stack."""
    query = "SELECT 1 FROM link WHERE digest = :it UNION ALL SELECT 1 FROM stack WHERE layer = :it"
    return connection.execute(query, {"it": digest}).fetchone() is not None


def all_candidates(connection: sqlite3.Connection) -> list[str]:
    """Return every digest without an owner, and those that are both a blob and a layer."""
    query = """SELECT digest FROM content WHERE NOT EXISTS (SELECT 1 FROM link WHERE link.digest = content.digest)
               AND NOT EXISTS (SELECT 1 FROM stack WHERE stack.layer = content.digest)
               UNION SELECT digest FROM content GROUP BY digest HAVING count(*) > 1"""
    return [row[0] for row in connection.execute(query)]


def over_cap(connection: sqlite3.Connection, cap: int, leased: set[str]) -> list[Row]:
    """Drop the least recently used blobs above `cap` bytes from the cache, and return them. Ignore owned blobs."""
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
