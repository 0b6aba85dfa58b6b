"""The interface of a metadata database, and the schema that both kinds share.

Queries are plain functions that take a Session first. They are written once, in the SQL that SQLite and PostgreSQL
have in common, with `?` for parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from lamina.errors import Unsupported

P = ParamSpec("P")
T = TypeVar("T")
Row = tuple[Any, ...]


class Session(Protocol):
    """One transaction."""

    def all(self, sql: str, *parameters: Any) -> list[Row]: ...
    def one(self, sql: str, *parameters: Any) -> Row | None: ...
    def run(self, sql: str, *parameters: Any) -> int:
        """Execute, and return the number of rows changed."""
        ...

    def lock(self, name: str) -> None:
        """Keep other transactions that lock the same name waiting until this one ends."""
        ...


class Database(Protocol):
    """Runs queries in transactions. `close` may be called twice."""

    async def read(self, query: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `query` on a consistent snapshot."""
        ...

    async def write(
        self,
        query: Callable[Concatenate[Session, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run `query`, alone or beside other writes; when this returns, its effects survive a crash.

        `query` may run several times when transactions collide. Whatever it raises rolls it back.
        """
        ...

    async def exclusive(
        self,
        query: Callable[Concatenate[Session, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run `query` as `write` does, while no other write runs anywhere: what it reads cannot change under it."""
        ...

    async def close(self) -> None: ...


SCHEMA_VERSION = 2
_SCHEMA = Path(__file__).with_name("schema.sql")
_UPGRADES = {  # by the version they lead to
    2: "UPDATE repositories SET bytes = bytes "
    "+ (SELECT COALESCE(SUM(size), 0) FROM manifests WHERE repository = repositories.name)",
}


def prepare(session: Session, text_type: str) -> None:
    """Make the tables, or bring older ones up to date; `text_type` must sort by bytes.

    Raise Unsupported where a newer lamina made them.
    """
    for statement in _statements(text_type):
        session.run(statement)
    row = session.one("SELECT version FROM schema_version")
    if row is None:
        session.run("INSERT INTO schema_version VALUES (?)", SCHEMA_VERSION)
        return
    if row[0] > SCHEMA_VERSION:
        raise Unsupported(f"The registry's database has schema {row[0]}, and this lamina knows {SCHEMA_VERSION}")
    for version in range(row[0] + 1, SCHEMA_VERSION + 1):
        session.run(_UPGRADES[version])
    session.run("UPDATE schema_version SET version = ?", SCHEMA_VERSION)


def _statements(text_type: str) -> list[str]:
    script = _SCHEMA.read_text().replace("{text}", text_type)
    without_comments = "\n".join(line for line in script.splitlines() if not line.startswith("--"))
    return [statement.strip() for statement in without_comments.split(";") if statement.strip()]
