"""Extended attributes in an index: behind the inode, or once for all files that have the same."""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Iterable, Mapping

from lamina.errors import InvalidInput, TooLarge
from lamina.layers.index.format import (
    NAME_MAX,
    OPAQUE_XATTR,
    ORIGIN_XATTR,
    VALUE_MAX,
    XATTR_BODY,
    XATTR_ENTRY,
    XATTR_PREFIXES,
)

_OVERLAY = "trusted.overlay."
_ESCAPED = "trusted.overlay.overlay."
_MAX_SHARED = 255
_MAX_UNITS = 0xFFFF

Pair = tuple[str, bytes]


def escape(name: str) -> str:
    """Return the name under which an image's attribute is kept, so that overlayfs takes no orders from images.

    What is below `trusted.overlay.` goes one level deeper, and overlayfs shows it under its own name again
    (overlayfs.rst, "Nesting overlayfs mounts").
    """
    return _ESCAPED + name[len(_OVERLAY) :] if name.startswith(_OVERLAY) else name


def unescape(name: str) -> str | None:
    """Return the image's own name for a kept attribute; None for the marks that are about the layer, not the file."""
    if name.startswith(_ESCAPED):
        return _OVERLAY + name[len(_ESCAPED) :]
    return None if name.startswith(_OVERLAY) else name


def kept_pairs(xattrs: Mapping[str, bytes], *, opaque: bool, hiding: bool) -> tuple[Pair, ...]:
    """Return the attributes to write for a file, sorted by name; `hiding` is for directories with whiteouts in them."""
    pairs = [(escape(name), value) for name, value in xattrs.items()]
    if opaque:
        pairs.append((OPAQUE_XATTR, b"y"))
    if hiding:
        pairs.append((ORIGIN_XATTR, b""))
    return tuple(sorted(pairs))


def _packed(name: str, value: bytes) -> bytes:
    raw = os.fsencode(name)
    index, prefix = next(p for p in XATTR_PREFIXES if raw.startswith(p[1]) and (p[0] not in (2, 3) or raw == p[1]))
    suffix = raw[len(prefix) :]
    if len(raw) > NAME_MAX or (not suffix and index not in (2, 3)):
        raise InvalidInput(f"the extended attribute name {name[:80]!r} is not valid", name=name)
    if len(value) > VALUE_MAX:
        raise TooLarge(f"the extended attribute {name!r} has {len(value)} bytes", limit=VALUE_MAX)
    entry = XATTR_ENTRY.pack(len(suffix), index, len(value)) + suffix + value
    return entry + bytes(-len(entry) % 4)


class XattrTable:
    """Decides what is shared, and packs. Takes the attributes of every file first, by `count`."""

    def __init__(self) -> None:
        self._uses: Counter[Pair] = Counter()
        self._packed: dict[Pair, bytes] = {}
        self._shared: dict[Pair, int] = {}

    def count(self, pairs: Iterable[Pair]) -> None:
        """Count the attributes of one file. Raise InvalidInput or TooLarge for those that the format cannot hold."""
        for pair in pairs:
            self._uses[pair] += 1
            if pair not in self._packed:
                self._packed[pair] = _packed(*pair)

    def share(self) -> bytes:
        """Return the attributes that several files share. Call it once, before `body`."""
        area = bytearray()
        for pair, uses in self._uses.items():
            if uses > 1:
                self._shared[pair] = len(area) // 4
                area += self._packed[pair]
        return bytes(area)

    def body(self, pairs: tuple[Pair, ...]) -> bytes:
        """Return the bytes behind the inode of a file with these attributes. Raise TooLarge past 256 KiB."""
        if not pairs:
            return b""
        shared = [self._shared[pair] for pair in pairs if pair in self._shared][:_MAX_SHARED]
        numbers = frozenset(shared)
        inline = b"".join(self._packed[pair] for pair in pairs if self._shared.get(pair, -1) not in numbers)
        body = XATTR_BODY.pack(0xFFFFFFFF, len(shared)) + struct.pack(f"<{len(shared)}I", *shared) + inline
        if units(body) > _MAX_UNITS:
            raise TooLarge("a file has more extended attributes than an index can hold", limit=4 * _MAX_UNITS)
        return body


def units(body: bytes) -> int:
    """Return how an inode counts the size of its attributes: 0, or 1 for the header and 1 for every 4 bytes."""
    return (len(body) - XATTR_BODY.size) // 4 + 1 if body else 0
