"""The metadata database: one writer at a time, readers that never wait for it, numbered migrations.

SQLite in WAL mode with `synchronous=NORMAL`: a commit survives the death of the process at once, and a power cut after
the next `checkpoint` (docs/adr: durability of the store). The database itself is consistent after either.
"""

from __future__ import annotations

import os
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path

from lamina.errors import Corrupt, Internal, NoSpace, Unsupported
from lamina.linux.files import private_database
from lamina.linux.writing import ADVICE, MESSAGE, is_disk_full, no_space

_BUSY_SECONDS = 30.0
_KEPT = 8  # idle connections for the next readers; each has pages in memory, and hundreds may read at once
_MESSAGE = f"{MESSAGE} that holds the store"


class Database:
    """Connections to one SQLite file. Thread-safe. `close` may be called twice; nothing may be used after it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._writer_thread: int | None = None
        self._idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self._closed = False
        with disk_errors():
            private_database(path)
            self._writer = self._connect()
            self._writer.execute("PRAGMA journal_mode=WAL")
            _migrate(self._writer)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run the block in a write transaction: committed at its end, rolled back when it raises.

        Wait for other writers. Raise Internal when this thread is already inside one, NoSpace when the disk is full.
        """
        with self.exclusive(), disk_errors():
            with transaction(self._writer):
                yield self._writer

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other writers out for the time of the block. Raise Internal when this thread already does."""
        me = threading.get_ident()
        if self._writer_thread == me:
            raise Internal("a write transaction was begun inside another one")
        with self._lock:
            self._writer_thread = me
            try:
                yield
            finally:
                self._writer_thread = None

    @property
    def writer(self) -> sqlite3.Connection:
        """Return the writing connection, for a caller that holds `exclusive`."""
        if self._writer_thread != threading.get_ident():
            raise Internal("the writing connection was asked for without the writer's lock")
        return self._writer

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection that sees the moment of its first query, untouched by writers."""
        connection = self._borrow()
        try:
            connection.execute("BEGIN")
            yield connection
        finally:
            connection.execute("ROLLBACK")
            self._give_back(connection)

    def checkpoint(self) -> None:
        """Make everything that was committed before survive a power cut, and begin the next log."""
        connection = self._borrow()
        try:
            with disk_errors():
                self._flush_log()
                _, frames, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        finally:
            self._give_back(connection)
        if frames == copied:
            self._begin_log()

    def _begin_log(self) -> None:
        """Write the first change of a new log.

        SQLite flushes the log when it begins it anew. Without this the next transaction would wait for the disk.
        """
        with suppress(NoSpace), self.write() as connection:
            connection.execute("INSERT OR REPLACE INTO setting VALUES ('log-begun', ?)", (str(time.time_ns()),))

    def _flush_log(self) -> None:
        """Flush the log: SQLite does so when it checkpoints, but not where a reader is in the way."""
        with suppress(FileNotFoundError), open(f"{self._path}-wal", "rb") as log:
            os.fsync(log.fileno())

    def close(self) -> None:
        """Close all connections. May be called twice."""
        self._closed = True
        while not self._idle.empty():
            self._idle.get().close()
        with self._lock:
            self._writer.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=_BUSY_SECONDS)
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA journal_size_limit=4194304")  # bytes of log kept on disk behind a checkpoint
        connection.execute("PRAGMA wal_autocheckpoint=8000")  # pages; the syncer's checkpoints come long before
        return connection

    def _borrow(self) -> sqlite3.Connection:
        if self._closed:
            raise Internal("the store is closed")
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return self._connect()

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if self._closed or self._idle.qsize() >= _KEPT:
            connection.close()
        else:
            self._idle.put(connection)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block between BEGIN IMMEDIATE and COMMIT; ROLLBACK when it raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite rolls back by itself on some errors, such as a full disk
            connection.execute("ROLLBACK")
        raise


def _migrate(connection: sqlite3.Connection) -> None:
    """Apply each `migrations/NNNN_*.sql` above the database's `user_version`, each in one transaction."""
    scripts = sorted(
        (f for f in resources.files("lamina.store").joinpath("migrations").iterdir() if f.name.endswith(".sql")),
        key=lambda f: f.name,
    )
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(scripts):
        raise Unsupported(
            f"the store was written by a newer lamina (schema {version}, this one knows {len(scripts)})",
            advice="Use that version, or another data root",
        )
    for number, script in enumerate(scripts[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE;\n{script.read_text()}\nPRAGMA user_version={number};\nCOMMIT;")


@contextmanager
def disk_errors() -> Iterator[None]:
    """Raise NoSpace for a full disk or quota, and Corrupt for a damaged database; let everything else through."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise no_space(error, _MESSAGE) from error
        raise
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary result code
        if code == sqlite3.SQLITE_FULL:
            raise NoSpace(_MESSAGE, advice=ADVICE) from error
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise Corrupt(f"the store's database is damaged: {error}") from error
        raise
