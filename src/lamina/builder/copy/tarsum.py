"""The sum by which Docker names a copied file: in history (`COPY file:… in /dest`), and in the cache.

Rule: moby's tarsum, version 1: SHA-256 over the tar header's members as text, without the modification time, and then
the content. Giving the same sums, `--cache-from` understands images that Docker built, and the other way round.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable

from lamina.builder.tree import Data, Node, Tree, find
from lamina.layers.entry import FORMATS, Entry, EntryType

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
    """What goes into the sum before the content. `owner` is the user and group name that Docker writes there."""
    flag, bits = _FLAGS[entry.type], FORMATS.get(entry.type, stat.S_IFREG)
    name = f"{entry.path}/" if entry.type is EntryType.DIRECTORY else entry.path
    text = (
        f"name{name}mode{entry.mode | bits}uid{entry.uid}gid{entry.gid}size{entry.size}"
        f"typeflag{flag}linkname{entry.target}uname{owner}gname{owner}devmajor{entry.major}devminor{entry.minor}"
    )
    header = text.encode("utf-8", "surrogateescape")
    capability = entry.xattrs.get("security.capability")
    return header if capability is None else header + b"security.capability" + capability


def sum_of(header: bytes, data: Data | None) -> str:
    """The sum of one file, in hex. `data` is read to its end and not closed; None for what has no content."""
    hasher = hashlib.sha256(header)
    while data is not None and (piece := data.read(_CHUNK)):
        hasher.update(piece)
    return hasher.hexdigest()


def combined(prefix: str, sums: Iterable[str]) -> str:
    """The name of several sums: `dir:` or `multi:` and the hash of them joined by commas."""
    return f"{prefix}:{hashlib.sha256(','.join(sums).encode()).hexdigest()}"


def followed(tree: Tree, node: Node) -> Node | None:
    """The file whose sum stands for `node`: for a symlink the one it leads to, None where it leads nowhere."""
    return node if node.entry.type is not EntryType.SYMLINK else find(tree, node.path)
