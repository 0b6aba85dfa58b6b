"""Where the operating system's and SQLite's failures become lamina's kinds of error."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from lamina.errors import Corrupt, NoSpace
from lamina.linux.writing import ADVICE, MESSAGE, is_disk_full, no_space

_MESSAGE = f"{MESSAGE} that holds the store"


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
