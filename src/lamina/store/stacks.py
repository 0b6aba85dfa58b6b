"""Stacks of layers that owners hold, kept so that images made from one another share all but what differs.

A row says: this chain ID is that layer on top of that stack. It is there as long as an owner holds it or another stack
stands on it, and as long as it is there it keeps its layer. So the images of a build of n steps take n rows, not n².
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from lamina.errors import NotFound
from lamina.formats.config import chain_ids
from lamina.formats.digest import Digest


def hold(connection: sqlite3.Connection, owner: str, layers: Sequence[Digest]) -> set[str]:
    """Let `owner` hold the stack of `layers`, bottom first, in place of the one it had; gives the layers set free.

    Raises NotFound for a layer that is not there.
    """
    chains = chain_ids(layers)
    before = held(connection, owner)
    wanted = chains[-1] if chains else None
    if before == wanted:
        return set()
    _make(connection, chains, layers)
    if wanted is None:
        connection.execute("DELETE FROM stack_owner WHERE owner = ?", (owner,))
    else:
        connection.execute("INSERT OR REPLACE INTO stack_owner VALUES (?, ?)", (owner, wanted))
    return _free(connection, before)


def held(connection: sqlite3.Connection, owner: str) -> str | None:
    """The chain ID of the stack that `owner` holds."""
    row = connection.execute("SELECT chain FROM stack_owner WHERE owner = ?", (owner,)).fetchone()
    return str(row[0]) if row else None


def layers_of(connection: sqlite3.Connection, chain: str | None) -> Iterator[str]:
    """The layers of a stack, the top one first."""
    query = "SELECT layer, below FROM stack WHERE chain = ?"
    while chain is not None and (row := connection.execute(query, (chain,)).fetchone()) is not None:
        yield row[0]
        chain = row[1]


def broken(connection: sqlite3.Connection) -> set[str]:
    """Owners of stacks of which a layer is gone."""
    query = """WITH RECURSIVE lost (chain) AS (
                   SELECT chain FROM stack
                   WHERE NOT EXISTS (SELECT 1 FROM content WHERE content.digest = stack.layer)
                   UNION SELECT stack.chain FROM stack JOIN lost ON stack.below = lost.chain)
               SELECT owner FROM stack_owner JOIN lost ON stack_owner.chain = lost.chain"""
    return {row[0] for row in connection.execute(query)}


def _make(connection: sqlite3.Connection, chains: Sequence[str], layers: Sequence[Digest]) -> None:
    """Write the rows that are missing: from the top down to the first stack that is there, for all below it are too."""
    missing = len(chains)
    there = "SELECT 1 FROM stack WHERE chain = ?"
    while missing and connection.execute(there, (chains[missing - 1],)).fetchone() is None:
        missing -= 1
    for number in range(missing, len(chains)):
        layer = str(layers[number])
        if connection.execute("SELECT 1 FROM content WHERE digest = ?", (layer,)).fetchone() is None:
            raise NotFound(f"content {layer} is not in the store", digest=layers[number])
        below = chains[number - 1] if number else None
        connection.execute("INSERT INTO stack VALUES (?, ?, ?)", (chains[number], below, layer))


def _free(connection: sqlite3.Connection, chain: str | None) -> set[str]:
    """Take away the rows from `chain` down that nobody needs any more; gives their layers."""
    needed = "SELECT 1 FROM stack_owner WHERE chain = :it UNION ALL SELECT 1 FROM stack WHERE below = :it"
    freed = set()
    while chain is not None and connection.execute(needed, {"it": chain}).fetchone() is None:
        row = connection.execute("DELETE FROM stack WHERE chain = ? RETURNING below, layer", (chain,)).fetchone()
        if row is None:
            break
        chain = row[0]
        freed.add(row[1])
    return freed
