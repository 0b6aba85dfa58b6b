"""Metadata in PostgreSQL, shared by any number of replicas."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate

import psycopg

from lamina.errors import Unavailable
from lamina.registry.metadata.database import P, Row, T, prepare

CONNECTIONS = 12
_LOCK = 0x6C616D696E61  # the advisory lock that sets collections apart from pushes
_NAMED_LOCKS = 1  # the first key of all locks by name, which keeps them apart from `_LOCK`
_ATTEMPTS = 30
_COLLISIONS = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)


class PostgresSession:
    """A transaction on one connection."""

    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self._connection = connection

    def all(self, sql: str, *parameters: Any) -> list[Row]:
        return self._connection.execute(_translated(sql), parameters).fetchall()

    def one(self, sql: str, *parameters: Any) -> Row | None:
        return self._connection.execute(_translated(sql), parameters).fetchone()

    def run(self, sql: str, *parameters: Any) -> int:
        return self._connection.execute(_translated(sql), parameters).rowcount

    def lock(self, name: str) -> None:
        self._connection.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (_NAMED_LOCKS, name))


class PostgresDatabase:
    """Queries run in threads, each with a connection of its own that is made again when it breaks."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._local = threading.local()
        self._open: set[psycopg.Connection[Row]] = set()
        self._threads = ThreadPoolExecutor(CONNECTIONS, "registry-database")
        self._make_schema()

    async def read(self, query: Callable[Concatenate[PostgresSession, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._in_thread(lambda: self._patiently(lambda session: query(session, *args, **kwargs), None))

    async def write(self, query: Callable[Concatenate[PostgresSession, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        lock = "SELECT pg_advisory_xact_lock_shared(?)"
        return await self._in_thread(lambda: self._patiently(lambda session: query(session, *args, **kwargs), lock))

    async def exclusive(
        self, query: Callable[Concatenate[PostgresSession, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        lock = "SELECT pg_advisory_xact_lock(?)"
        return await self._in_thread(lambda: self._patiently(lambda session: query(session, *args, **kwargs), lock))

    async def close(self) -> None:
        self._threads.shutdown()
        for connection in self._open:
            connection.close()
        self._open.clear()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _patiently(self, work: Callable[[PostgresSession], T], lock: str | None) -> T:
        """Run `work` in a transaction. Run it again where transactions collided, or the connection had died before."""
        for attempt in range(_ATTEMPTS):
            connection, used = self._connection()
            try:
                with connection.transaction():
                    session = PostgresSession(connection)
                    if lock is not None:
                        session.run(lock, _LOCK)
                    return work(session)
            except _COLLISIONS:
                time.sleep(random.random() * 0.01 * (attempt + 1))
            except psycopg.OperationalError as error:
                self._discard(connection)
                if not used or lock is not None or attempt > 2:
                    raise Unavailable("The registry's database does not answer") from error
        raise Unavailable("The registry's database is too busy")

    def _connection(self) -> tuple[psycopg.Connection[Row], bool]:
        """Return this thread's connection, and whether it was used before."""
        current: psycopg.Connection[Row] | None = getattr(self._local, "connection", None)
        if current is not None and not current.closed:
            return current, True
        try:
            connection = psycopg.connect(self._url, autocommit=True, connect_timeout=10)
        except psycopg.OperationalError as error:
            raise Unavailable("The registry's database cannot be reached") from error
        self._local.connection = connection
        self._open.add(connection)
        return connection, False

    def _discard(self, connection: psycopg.Connection[Row]) -> None:
        connection.close()
        self._open.discard(connection)
        self._local.connection = None

    def _make_schema(self) -> None:
        connection, _ = self._connection()
        with connection.transaction():
            session = PostgresSession(connection)
            session.run("SELECT pg_advisory_xact_lock(?)", _LOCK)
            prepare(session, 'TEXT COLLATE "C"')
        self._discard(connection)


def _translated(sql: str) -> Any:
    return sql.replace("?", "%s")
