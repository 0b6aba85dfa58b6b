"""Transactions over the metadata: records in buckets, the owners of content, and the stacks of layers they hold.

A row of a stack says: this chain ID is that layer on top of that stack. It is there as long as an owner holds it or
another stack stands on it, and as long as it is there it keeps its layer. So the images of a build of n steps take n
rows, not n².
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence

from lamina.errors import NotFound
from lamina.formats.config import chain_ids
from lamina.formats.digest import Digest


class ReadTransaction:
    """A consistent view of the metadata."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, bucket: str, key: str) -> bytes | None:
        """Return the document, or None."""
        query = "SELECT value FROM record WHERE bucket = ? AND key = ?"
        row = self._connection.execute(query, (bucket, key)).fetchone()
        return bytes(row[0]) if row else None

    def items(self, bucket: str, prefix: str = "") -> Iterator[tuple[str, bytes]]:
        """Return all documents of a bucket whose key begins with `prefix`, ordered by key."""
        query = "SELECT key, value FROM record WHERE bucket = ? AND key >= ? AND substr(key, 1, ?) = ? ORDER BY key"
        rows = self._connection.execute(query, (bucket, prefix, len(prefix), prefix)).fetchall()
        return ((key, bytes(value)) for key, value in rows)

    def count(self, bucket: str) -> int:
        """Return the number of documents in a bucket."""
        (number,) = self._connection.execute("SELECT count(*) FROM record WHERE bucket = ?", (bucket,)).fetchone()
        return int(number)

    def owned(self, owner: str) -> tuple[Digest, ...]:
        """Return the digests that `owner` holds, those of its stack last, from the top."""
        rows = self._connection.execute("SELECT digest FROM link WHERE owner = ?", (owner,))
        stack = _stack_layers(self._connection, _held_chain(self._connection, owner))
        return tuple(Digest.parse(text) for text in dict.fromkeys([*(row[0] for row in rows), *stack]))

    def broken_owners(self) -> tuple[str, ...]:
        """Return the owners of content that a power cut took before it was synced."""
        query = """SELECT DISTINCT owner FROM link
                   WHERE NOT EXISTS (SELECT 1 FROM content WHERE content.digest = link.digest)"""
        single = {row[0] for row in self._connection.execute(query)}
        return tuple(sorted(single | _owners_of_broken_stacks(self._connection)))


class Transaction(ReadTransaction):
    """A view that may change the metadata; nothing of it is seen or kept unless the whole block succeeds."""

    def __init__(self, connection: sqlite3.Connection, on_release: Callable[[], None]) -> None:
        super().__init__(connection)
        self._on_release = on_release
        self.touched: set[str] = set()  # buckets that documents were written to or removed from
        self.released: set[str] = set()  # digests that lost an owner: the store looks at them before it commits
        self.dropped: tuple[Digest, ...] = ()  # content that went with the commit; known once the block has ended

    def put(self, bucket: str, key: str, raw: bytes) -> None:
        """Write a document, in place of the one that was there."""
        self.touched.add(bucket)
        self._connection.execute("INSERT OR REPLACE INTO record VALUES (?, ?, ?)", (bucket, key, raw))

    def delete(self, bucket: str, key: str) -> bool:
        """Remove a document. Return whether there was one."""
        self.touched.add(bucket)
        cursor = self._connection.execute("DELETE FROM record WHERE bucket = ? AND key = ?", (bucket, key))
        return cursor.rowcount > 0

    def link(self, owner: str, digests: Iterable[Digest], stack: Sequence[Digest] = ()) -> None:
        """Let `owner` hold exactly these digests from now on, and the layers of `stack`, bottom first.

        Deep stacks that share many layers are cheap as a `stack`, and costly as single digests. Raise NotFound, naming
        the missing digest.
        """
        texts = {str(digest) for digest in digests}
        rows = self._connection.execute("SELECT digest FROM link WHERE owner = ?", (owner,)).fetchall()
        present = {row[0] for row in rows}
        for digest in sorted(texts - present):
            self._add(owner, digest)
        for digest in present - texts:
            self._connection.execute("DELETE FROM link WHERE owner = ? AND digest = ?", (owner, digest))
        self._release((present - texts) | _hold_stack(self._connection, owner, stack))

    def hold(self, owner: str, digest: Digest) -> None:
        """Let `owner` hold this digest too. Raise NotFound when it is not there."""
        self._add(owner, str(digest))

    def let_go(self, owner: str, digest: Digest) -> None:
        """Take one digest away from `owner`, where it holds it by itself."""
        self._connection.execute("DELETE FROM link WHERE owner = ? AND digest = ?", (owner, str(digest)))
        self._release({str(digest)})

    def unlink(self, owner: str) -> None:
        """Let go of all that `owner` holds; what nobody else holds is removed when the transaction commits."""
        self._on_release()
        rows = self._connection.execute("DELETE FROM link WHERE owner = ? RETURNING digest", (owner,)).fetchall()
        self._release({row[0] for row in rows} | _hold_stack(self._connection, owner, ()))

    def _add(self, owner: str, digest: str) -> None:
        if not self._connection.execute("SELECT 1 FROM content WHERE digest = ?", (digest,)).fetchone():
            raise NotFound(f"content {digest} is not in the store", digest=Digest.parse(digest))
        self._connection.execute("INSERT OR IGNORE INTO link VALUES (?, ?)", (owner, digest))

    def _release(self, digests: set[str]) -> None:
        if digests:
            self._on_release()
        self.released |= digests


def _hold_stack(connection: sqlite3.Connection, owner: str, layers: Sequence[Digest]) -> set[str]:
    """Let `owner` hold the stack of `layers`, bottom first, in place of the one it had. Return the layers set free.

    Raise NotFound for a layer that is not there.
    """
    chains = chain_ids(layers)
    before = _held_chain(connection, owner)
    chain = chains[-1] if chains else None
    if before == chain:
        return set()
    _make(connection, chains, layers)
    if chain is None:
        connection.execute("DELETE FROM stack_owner WHERE owner = ?", (owner,))
    else:
        connection.execute("INSERT OR REPLACE INTO stack_owner VALUES (?, ?)", (owner, chain))
    return _free(connection, before)


def _held_chain(connection: sqlite3.Connection, owner: str) -> str | None:
    """Return the chain ID of the stack that `owner` holds."""
    row = connection.execute("SELECT chain FROM stack_owner WHERE owner = ?", (owner,)).fetchone()
    return str(row[0]) if row else None


def _stack_layers(connection: sqlite3.Connection, chain: str | None) -> Iterator[str]:
    """Yield the layers of a stack, the top layer first."""
    query = "SELECT layer, below FROM stack WHERE chain = ?"
    while chain is not None and (row := connection.execute(query, (chain,)).fetchone()) is not None:
        yield row[0]
        chain = row[1]


def _owners_of_broken_stacks(connection: sqlite3.Connection) -> set[str]:
    """Return the owners of stacks of which a layer is gone."""
    query = """WITH RECURSIVE lost (chain) AS (
                   SELECT chain FROM stack
                   WHERE NOT EXISTS (SELECT 1 FROM content WHERE content.digest = stack.layer)
                   UNION SELECT stack.chain FROM stack JOIN lost ON stack.below = lost.chain)
               SELECT owner FROM stack_owner JOIN lost ON stack_owner.chain = lost.chain"""
    return {row[0] for row in connection.execute(query)}


def _make(connection: sqlite3.Connection, chains: Sequence[str], layers: Sequence[Digest]) -> None:
    """Write the rows that are missing: from the top down to the first stack that is there, for all below it are too."""
    missing = len(chains)
    exists = "SELECT 1 FROM stack WHERE chain = ?"
    while missing and connection.execute(exists, (chains[missing - 1],)).fetchone() is None:
        missing -= 1
    for number in range(missing, len(chains)):
        layer = str(layers[number])
        if connection.execute("SELECT 1 FROM content WHERE digest = ?", (layer,)).fetchone() is None:
            raise NotFound(f"content {layer} is not in the store", digest=layers[number])
        below = chains[number - 1] if number else None
        connection.execute("INSERT INTO stack VALUES (?, ?, ?)", (chains[number], below, layer))


def _free(connection: sqlite3.Connection, chain: str | None) -> set[str]:
    """Take away the rows from `chain` down that nobody needs any more. Return their layers."""
    needed = "SELECT 1 FROM stack_owner WHERE chain = :it UNION ALL SELECT 1 FROM stack WHERE below = :it"
    freed = set()
    while chain is not None and connection.execute(needed, {"it": chain}).fetchone() is None:
        row = connection.execute("DELETE FROM stack WHERE chain = ? RETURNING below, layer", (chain,)).fetchone()
        if row is None:
            break
        chain = row[0]
        freed.add(row[1])
    return freed
