"""Docker sums of files, remembered: a file whose stamp did not change is not read again.

The memory of a directory context lies in the store, so that the next build of the same folder is a walk of stats.
"""

from __future__ import annotations

import os
import time

import msgspec

from lamina.builder.copy.tarsum import sum_header, sum_of
from lamina.builder.tree import Node, Tree
from lamina.layers.entry import EntryType
from lamina.store.store import Store

BUCKET = "context-sums"
_CONTEXTS_KEPT = 32
_SETTLED_NS = 100_000_000  # a file changed more recently than this may change again within one tick of its clock

Row = tuple[tuple[int, ...], int, str]  # stamp, mode, sum


class _Kept(msgspec.Struct):
    """What the store holds for one context."""

    used: float  # when a build last used it, seconds since the epoch
    rows: dict[bytes, Row]  # by path


class Sums:
    """Sums of the files of one tree by path. Files without a stamp never change.

    For the files of an image (`of_image`) dockerd adds the names that its own machine has for the owner. Only root is
    called the same everywhere, so other owners stay nameless here: a digest must not depend on who builds.
    """

    def __init__(
        self, known: dict[str, str] | None = None, rows: dict[str, Row] | None = None, *, of_image: bool = False
    ) -> None:
        self._of_image = of_image
        self._fixed = {} if known is None else known
        self._rows = {} if rows is None else rows
        self.changed = False

    @property
    def rows(self) -> dict[str, Row]:
        return self._rows

    def header(self, node: Node) -> bytes:
        """What goes into a file's sum before its content."""
        return sum_header(node.entry, "root" if self._of_image and node.entry.uid == node.entry.gid == 0 else "")

    def known(self, node: Node) -> str | None:
        """The sum, where it can be told without reading the file."""
        if node.entry.type is not EntryType.REGULAR:
            return sum_of(self.header(node), None)
        if node.stamp is None:
            return self._fixed.get(node.path)
        row = self._rows.get(node.path)
        return row[2] if row is not None and row[0] == node.stamp and row[1] == node.entry.mode else None

    def note(self, node: Node, sum_: str) -> None:
        """Remember a sum that was made while the file was read."""
        if node.stamp is None:
            self._fixed[node.path] = sum_
        else:
            self._rows[node.path] = (node.stamp, node.entry.mode, sum_)
            self.changed = True

    def of(self, tree: Tree, node: Node) -> str:
        """The sum, reading the file where needed."""
        known = self.known(node)
        if known is not None:
            return known
        data = tree.open(node)
        try:
            sum_ = sum_of(self.header(node), data)
        finally:
            data.close()
        self.note(node, sum_)
        return sum_


def load(store: Store, identity: str) -> Sums:
    """What an earlier build remembered of a directory; nothing where that cannot be read."""
    with store.read() as tx:
        raw = tx.get(BUCKET, identity)
    if raw is None:
        return Sums()
    try:
        rows = msgspec.msgpack.decode(raw, type=_Kept).rows
        return Sums(rows={os.fsdecode(path): row for path, row in rows.items()})
    except msgspec.DecodeError:
        return Sums()


def save(store: Store, identity: str, sums: Sums) -> None:
    """Remember `sums` for the next build, and forget the contexts that were not built for longest.

    Files that changed a moment ago are left out: their stamp may not tell the next change.
    """
    if not sums.changed:
        return
    limit = time.time_ns() - _SETTLED_NS
    rows = {os.fsencode(path): row for path, row in sums.rows.items() if row[0][-1] < limit}
    raw = msgspec.msgpack.encode(_Kept(time.time(), rows))
    with store.transaction() as tx:
        tx.put(BUCKET, identity, raw)
        others = [(_used(raw), key) for key, raw in tx.items(BUCKET)]
        for _, key in sorted(others)[: max(0, len(others) - _CONTEXTS_KEPT)]:
            tx.delete(BUCKET, key)


def forget(store: Store) -> None:
    """Drop the memory of all contexts, as `builder prune --all` does."""
    with store.transaction() as tx:
        for key, _ in tx.items(BUCKET):
            tx.delete(BUCKET, key)


def _used(raw: bytes) -> float:
    try:
        return msgspec.msgpack.decode(raw, type=_Kept).used
    except msgspec.DecodeError:
        return 0.0
