"""What can be read and written in one transaction: documents in buckets, and who holds which digests."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence

from lamina.errors import NotFound
from lamina.formats.digest import Digest
from lamina.store import stacks


class ReadTransaction:
    """A consistent view of the metadata."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, bucket: str, key: str) -> bytes | None:
        """The document, or None."""
        query = "SELECT value FROM record WHERE bucket = ? AND key = ?"
        row = self._connection.execute(query, (bucket, key)).fetchone()
        return bytes(row[0]) if row else None

    def items(self, bucket: str, prefix: str = "") -> Iterator[tuple[str, bytes]]:
        """All documents of a bucket whose key begins with `prefix`, ordered by key."""
        query = "SELECT key, value FROM record WHERE bucket = ? AND key >= ? AND substr(key, 1, ?) = ? ORDER BY key"
        rows = self._connection.execute(query, (bucket, prefix, len(prefix), prefix)).fetchall()
        return ((key, bytes(value)) for key, value in rows)

    def owned(self, owner: str) -> tuple[Digest, ...]:
        """The digests that `owner` holds, those of its stack last, from the top."""
        rows = self._connection.execute("SELECT digest FROM link WHERE owner = ?", (owner,))
        stack = stacks.layers_of(self._connection, stacks.held(self._connection, owner))
        return tuple(Digest.parse(text) for text in dict.fromkeys([*(row[0] for row in rows), *stack]))

    def broken_owners(self) -> tuple[str, ...]:
        """Owners of content that is gone: what a power cut took before it was synced."""
        query = """SELECT DISTINCT owner FROM link
                   WHERE NOT EXISTS (SELECT 1 FROM content WHERE content.digest = link.digest)"""
        single = {row[0] for row in self._connection.execute(query)}
        return tuple(sorted(single | stacks.broken(self._connection)))


class Transaction(ReadTransaction):
    """A view that may change the metadata; nothing of it is seen or kept unless the whole block succeeds."""

    def __init__(self, connection: sqlite3.Connection, on_release: Callable[[], None]) -> None:
        super().__init__(connection)
        self._on_release = on_release
        self.released: set[str] = set()  # digests that lost an owner: the store looks at them before it commits
        self.dropped: tuple[Digest, ...] = ()  # content that went with the commit; known once the block has ended

    def put(self, bucket: str, key: str, raw: bytes) -> None:
        """Write a document, in place of the one that was there."""
        self._connection.execute("INSERT OR REPLACE INTO record VALUES (?, ?, ?)", (bucket, key, raw))

    def delete(self, bucket: str, key: str) -> bool:
        """Remove a document; tells whether there was one."""
        cursor = self._connection.execute("DELETE FROM record WHERE bucket = ? AND key = ?", (bucket, key))
        return cursor.rowcount > 0

    def link(self, owner: str, digests: Iterable[Digest], stack: Sequence[Digest] = ()) -> None:
        """Let `owner` hold exactly these digests from now on, and the layers of `stack`, bottom first.

        Deep stacks that have much in common are cheap as a `stack`, and dear as single digests. Raises NotFound, naming
        the digest that is not there.
        """
        wanted = {str(digest) for digest in digests}
        rows = self._connection.execute("SELECT digest FROM link WHERE owner = ?", (owner,)).fetchall()
        present = {row[0] for row in rows}
        for digest in sorted(wanted - present):
            self._add(owner, digest)
        for digest in present - wanted:
            self._connection.execute("DELETE FROM link WHERE owner = ? AND digest = ?", (owner, digest))
        self._release((present - wanted) | stacks.hold(self._connection, owner, stack))

    def hold(self, owner: str, digest: Digest) -> None:
        """Let `owner` hold this digest too. Raises NotFound when it is not there."""
        self._add(owner, str(digest))

    def let_go(self, owner: str, digest: Digest) -> None:
        """Take one digest away from `owner`, where it holds it by itself."""
        self._connection.execute("DELETE FROM link WHERE owner = ? AND digest = ?", (owner, str(digest)))
        self._release({str(digest)})

    def unlink(self, owner: str) -> None:
        """Let go of all that `owner` holds; what nobody else holds is removed when the transaction commits."""
        self._on_release()
        rows = self._connection.execute("DELETE FROM link WHERE owner = ? RETURNING digest", (owner,)).fetchall()
        self._release({row[0] for row in rows} | stacks.hold(self._connection, owner, ()))

    def _add(self, owner: str, digest: str) -> None:
        if not self._connection.execute("SELECT 1 FROM content WHERE digest = ?", (digest,)).fetchone():
            raise NotFound(f"content {digest} is not in the store", digest=Digest.parse(digest))
        self._connection.execute("INSERT OR IGNORE INTO link VALUES (?, ?)", (owner, digest))

    def _release(self, digests: set[str]) -> None:
        if digests:
            self._on_release()
        self.released |= digests
