"""The sums by which Docker names copied files, and the memory of them: an unchanged file is not read again.

Rule: moby's tarsum, version 1: SHA-256 over the tar header's members as text, without the modification time, and then
the content. History (`COPY file:… in /dest`) and cache use them, so `--cache-from` understands images that Docker
built, and the other way round. The memory of a directory lies in the store: building it again is a walk of stats.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterable
from functools import cached_property, partial

import msgspec

from lamina.builder.context.tree_state import SETTLED_NS
from lamina.layers.entry import FORMATS, Entry, EntryType
from lamina.layers.tree import Content, Node, Tree, find
from lamina.store.store import Store

BUCKET = "context-sums"
_CONTEXTS_KEPT = 32

Row = tuple[tuple[int, ...], int, str]  # stamp, mode, sum


class _StoredSums(msgspec.Struct):
    """What the store holds for one context."""

    used: float  # when a build last used it, seconds since the epoch
    rows: dict[bytes, Row]  # by path


class Sums:
    """Sums of the files of one tree by path. Files without a stamp never change.

    For the files of an image (`of_image`) dockerd adds the names that its own machine has for the owner. Only root is
    called the same everywhere, so other owners stay nameless here: a digest must not depend on who builds.
    """

    def __init__(
        self,
        sums: dict[str, str] | None = None,
        load_rows: Callable[[], dict[str, Row]] = dict,
        *,
        of_image: bool = False,
    ) -> None:
        """`load_rows` is called when a file with a stamp is first asked for: a cached build may ask for none."""
        self._of_image = of_image
        self._fixed = {} if sums is None else sums
        self._load_rows = load_rows
        self.changed = False

    @cached_property
    def rows(self) -> dict[str, Row]:
        return self._load_rows()

    def header(self, node: Node) -> bytes:
        """Return the part of a file's sum before its content."""
        return sum_header(node.entry, "root" if self._of_image and node.entry.uid == node.entry.gid == 0 else "")

    def known(self, node: Node) -> str | None:
        """Return the sum if the file need not be read for it."""
        if node.entry.type is not EntryType.REGULAR:
            return sum_of(self.header(node), None)
        if node.stamp is None:
            return self._fixed.get(node.path)
        row = self.rows.get(node.path)
        return row[2] if row is not None and row[0] == node.stamp and row[1] == node.entry.mode else None

    def note(self, node: Node, sum_: str) -> None:
        """Remember a sum that was computed while the file was read."""
        if node.stamp is None:
            self._fixed[node.path] = sum_
        else:
            self.rows[node.path] = (node.stamp, node.entry.mode, sum_)
            self.changed = True

    def of(self, tree: Tree, node: Node) -> str:
        """Return the sum. Read the file where needed."""
        known_sum = self.known(node)
        if known_sum is not None:
            return known_sum
        with tree.read(node) as data:
            sum_ = sum_of(self.header(node), data)
        self.note(node, sum_)
        return sum_


def load_sums(store: Store, identity: str) -> Sums:
    """Return the sums that an earlier build remembered of a directory; none where they cannot be read."""
    with store.read() as tx:
        raw = tx.get(BUCKET, identity)
    return Sums() if raw is None else Sums(load_rows=partial(_rows, raw))


def _rows(raw: bytes) -> dict[str, Row]:
    try:
        return {os.fsdecode(path): row for path, row in msgspec.msgpack.decode(raw, type=_StoredSums).rows.items()}
    except msgspec.DecodeError:
        return {}


def save_sums(store: Store, identity: str, sums: Sums) -> None:
    """Remember `sums` for the next build, and forget the contexts that were not built for longest.

    Files that changed a moment ago are left out: their stamp may not tell the next change.
    """
    if not sums.changed:
        return
    limit = time.time_ns() - SETTLED_NS
    rows = {os.fsencode(path): row for path, row in sums.rows.items() if row[0][-1] < limit}
    raw = msgspec.msgpack.encode(_StoredSums(time.time(), rows))
    with store.transaction() as tx:
        tx.put(BUCKET, identity, raw)
        others = [(_used(raw), key) for key, raw in tx.items(BUCKET)]
        for _, key in sorted(others)[: max(0, len(others) - _CONTEXTS_KEPT)]:
            tx.delete(BUCKET, key)


def forget_sums(store: Store) -> None:
    """Drop the memory of all contexts, as `builder prune --all` does."""
    with store.transaction() as tx:
        for key, _ in tx.items(BUCKET):
            tx.delete(BUCKET, key)


def _used(raw: bytes) -> float:
    try:
        return msgspec.msgpack.decode(raw, type=_StoredSums).used
    except msgspec.DecodeError:
        return 0.0


_FLAGS = {
    EntryType.REGULAR: "0",
    EntryType.HARDLINK: "1",
    EntryType.SYMLINK: "2",
    EntryType.CHAR: "3",
    EntryType.BLOCK: "4",
    EntryType.DIRECTORY: "5",
    EntryType.FIFO: "6",
}
_CHUNK = 1 << 20


def sum_header(entry: Entry, owner: str = "") -> bytes:
    """Return the part of the sum before the content. `owner` is the user and group name that Docker writes there."""
    flag, bits = _FLAGS[entry.type], FORMATS.get(entry.type, stat.S_IFREG)
    name = f"{entry.path}/" if entry.type is EntryType.DIRECTORY else entry.path
    text = (
        f"name{name}mode{entry.mode | bits}uid{entry.uid}gid{entry.gid}size{entry.size}"
        f"typeflag{flag}linkname{entry.target}uname{owner}gname{owner}devmajor{entry.major}devminor{entry.minor}"
    )
    header = text.encode("utf-8", "surrogateescape")
    capability = entry.xattrs.get("security.capability")
    return header if capability is None else header + b"security.capability" + capability


def sum_of(header: bytes, data: Content | None) -> str:
    """Return the sum of one file, in hex. `data`, None for files without content, is read to its end and not closed."""
    hasher = hashlib.sha256(header)
    while data is not None and (piece := data.read(_CHUNK)):
        hasher.update(piece)
    return hasher.hexdigest()


def combined(prefix: str, sums: Iterable[str]) -> str:
    """Return the name of several sums: `dir:` or `multi:` and the hash of them joined by commas."""
    return f"{prefix}:{hashlib.sha256(','.join(sums).encode()).hexdigest()}"


def followed(tree: Tree, node: Node) -> Node | None:
    """Return the file whose sum stands for `node`: the target of a symlink, None for a dangling one."""
    return node if node.entry.type is not EntryType.SYMLINK else find(tree, node.path)
