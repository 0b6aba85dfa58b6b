"""The rows that say what content there is, and the one way it appears and disappears.

It appears by a rename and then a row, and disappears by the row and then a rename into `ingest/`: whatever moment a
crash picks, there is never a row without its bytes. Both happen under the writer's lock, so the two cannot mix.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lamina.formats.digest import Digest
from lamina.store.database import Database, transaction
from lamina.store.failures import disk_errors
from lamina.store.layout import Layout
from lamina.store.leases import Leases
from lamina.store.reserve import Reserve


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
        self.dropped: set[tuple[str, str]] = set()  # since the syncer began its pass; for who holds the writer's lock
        self.changed = threading.Event()  # set after each publication: a pass of the syncer is due

    def find(self, digest: Digest, kind: str) -> Row | None:
        """The row of a blob or layer, None where it is not there."""
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
        """Forget rows, inside the caller's transaction; gives the files that `discard` removes once it committed."""
        files: list[Path] = []
        for row in rows:
            self.dropped.add((row.digest, row.kind))
            connection.execute("DELETE FROM content WHERE digest = ? AND kind = ?", (row.digest, row.kind))
            if row.kind == "blob":
                connection.execute("DELETE FROM cached WHERE digest = ?", (row.digest,))
            files.extend(self.layout.files(Digest.parse(row.digest), row.kind))
        return files

    def aside(self, files: Iterable[Path]) -> list[Path]:
        """Rename dropped files out of the way: cheap, and done before the writer's lock is given up."""
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
        """Run `change` in a write transaction, remove the content whose rows it gives back, and give them on."""
        self.reserve.give_up()
        with self.database.exclusive(), disk_errors():
            with self.leases.lock, transaction(self.database.writer):
                rows = list(change(self.database.writer, self.leases.held()))
                files = self.drop(self.database.writer, rows)
            moved = self.aside(files)
        self.unlink(moved)
        return rows

    def unlink(self, moved: Iterable[Path]) -> None:
        """Delete what `aside` moved, after the writer's lock was given up."""
        for file in moved:
            file.unlink(missing_ok=True)
        self.reserve.refill()

    def _present(self, digest: str) -> bool:
        with self.database.read() as connection:
            return connection.execute("SELECT 1 FROM content WHERE digest = ?", (digest,)).fetchone() is not None


def _row(connection: sqlite3.Connection, digest: str, kind: str) -> Row | None:
    query = "SELECT digest, kind, size, extra FROM content WHERE digest = ? AND kind = ?"
    row = connection.execute(query, (digest, kind)).fetchone()
    return Row(*row) if row else None


def rows_of(connection: sqlite3.Connection, digest: str) -> list[Row]:
    """What there is under `digest`: a blob, a layer, or both."""
    rows = connection.execute("SELECT digest, kind, size, extra FROM content WHERE digest = ?", (digest,))
    return [Row(*row) for row in rows]
