"""Metadata in SQLite: reads on the spot, writes through one thread that commits many at a time."""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Concatenate

from lamina.errors import NoSpace
from lamina.linux.files import private_database
from lamina.registry.metadata.database import P, Row, T, prepare

MOST_AT_ONCE = 64  # writes in one commit


class SQLiteSession:
    """A transaction on one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def all(self, sql: str, *parameters: Any) -> list[Row]:
        return self._connection.execute(sql, parameters).fetchall()

    def one(self, sql: str, *parameters: Any) -> Row | None:
        row: Row | None = self._connection.execute(sql, parameters).fetchone()
        return row

    def run(self, sql: str, *parameters: Any) -> int:
        return self._connection.execute(sql, parameters).rowcount

    def lock(self, name: str) -> None:
        return  # a write has the whole file for itself


class SQLiteDatabase:
    """One file, in WAL mode. Reads take microseconds and happen in the caller; a write costs one flush for a batch."""

    def __init__(self, path: Path) -> None:
        self._path = path
        private_database(path)
        self._writer = _connect(path)
        _prepare(self._writer)
        self._reader = _connect(path)
        self._reader.execute("PRAGMA query_only = ON")
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._write_forever, name="registry-writer", daemon=True)
        self._thread.start()

    async def read(self, query: Callable[Concatenate[SQLiteSession, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        self._reader.execute("BEGIN")
        try:
            return query(SQLiteSession(self._reader), *args, **kwargs)
        finally:
            self._reader.execute("COMMIT")

    async def write(self, query: Callable[Concatenate[SQLiteSession, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        job = _Job(lambda session: query(session, *args, **kwargs))
        self._queue.put(job)
        result: T = await asyncio.wrap_future(job.done)
        return result

    async def exclusive(
        self, query: Callable[Concatenate[SQLiteSession, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self.write(query, *args, **kwargs)  # writes are one after the other here anyway

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._reader.close()
        self._writer.close()

    def _write_forever(self) -> None:
        while (job := self._queue.get()) is not None:
            batch, ended = [job], False
            while len(batch) < MOST_AT_ONCE and not self._queue.empty():
                further = self._queue.get()
                if further is None:
                    ended = True
                    break
                batch.append(further)
            self._commit(batch)
            if ended:
                return

    def _commit(self, batch: list[_Job]) -> None:
        """Run each job in a savepoint of its own, so that one that fails takes no other with it."""
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for job in batch:
                job.run(self._writer)
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            problem = _as_no_space(error)
            for job in batch:
                job.fail(problem)
            return
        for job in batch:
            job.tell()


class _Job:
    """One write that waits for its commit."""

    def __init__(self, work: Callable[[SQLiteSession], Any]) -> None:
        self._work = work
        self._result: Any = None
        self._problem: BaseException | None = None
        self.done: Future[Any] = Future()

    def run(self, connection: sqlite3.Connection) -> None:
        connection.execute("SAVEPOINT job")
        try:
            self._result = self._work(SQLiteSession(connection))
        except Exception as error:
            if not connection.in_transaction:
                raise
            connection.execute("ROLLBACK TO job")
            self._problem = error
        connection.execute("RELEASE job")

    def fail(self, problem: BaseException) -> None:
        if not self.done.cancelled():
            self.done.set_exception(problem)

    def tell(self) -> None:
        if self.done.cancelled():
            return
        if self._problem is not None:
            self.done.set_exception(self._problem)
        else:
            self.done.set_result(self._result)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=60, cached_statements=256)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -65536")
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        prepare(SQLiteSession(connection), "TEXT")
    except BaseException:
        connection.close()
        raise
    connection.execute("COMMIT")


def _as_no_space(error: sqlite3.Error) -> Exception:
    full = error.sqlite_errorcode in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR) if error.args else False
    return NoSpace(f"The registry's disk is full ({os.strerror(28)})") if full else error
