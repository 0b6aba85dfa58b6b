"""The interface of a metadata database, and the schema that both kinds share.

Queries are plain functions that take a Session first. They are written once, in the SQL that SQLite and PostgreSQL
have in common, with `?` for parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
Row = tuple[Any, ...]


class Session(Protocol):
    """One transaction."""

    def all(self, sql: str, *parameters: Any) -> list[Row]: ...
    def one(self, sql: str, *parameters: Any) -> Row | None: ...
    def run(self, sql: str, *parameters: Any) -> int:
        """Execute, and give the number of rows changed."""
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
        """As `write`, while no other write runs anywhere: what `query` found cannot change under it."""
        ...

    async def close(self) -> None: ...


SCHEMA_VERSION = 1
_SCHEMA = Path(__file__).with_name("schema.sql")


def schema(text_type: str) -> list[str]:
    """The statements that make the tables where they are missing; `text_type` must sort by bytes."""
    script = _SCHEMA.read_text().replace("{text}", text_type)
    without_comments = "\n".join(line for line in script.splitlines() if not line.startswith("--"))
    return [statement.strip() for statement in without_comments.split(";") if statement.strip()]
