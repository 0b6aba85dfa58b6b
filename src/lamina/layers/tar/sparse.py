"""Maps of sparse files: old GNU (in header blocks), and GNU over PAX in versions 0.0, 0.1 and 1.0.

All of them say where the file has data; the holes between are zeros that the archive does not store. Described in GNU
tar's manual, "Storing Sparse Files".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from lamina.errors import TooLarge
from lamina.layers.limits import Limits
from lamina.layers.tar.header import BLOCK, number
from lamina.layers.tar.source import TarSource

Pieces = tuple[tuple[int, int], ...]
_HEADER_MAP = 386
_HEADER_SLOTS = 4
_EXTENSION_SLOTS = 21
_SLOT = 24


class SparseMap(NamedTuple):
    """Where the data of a file lies (offset, length), the file's full size, and bytes of data the map itself took."""

    pieces: Pieces
    size: int
    map_bytes: int


def old_gnu(block: bytes, source: TarSource, limits: Limits) -> SparseMap:
    """Return the map of a type "S" member: four slots in its header, 21 in each extension block that follows."""
    pieces = list(_slots(block, _HEADER_MAP, _HEADER_SLOTS))
    more = block[482] not in b"\0000"
    while more:
        if len(pieces) > limits.sparse_pieces:
            raise _too_many(limits)
        extension = source.exactly(BLOCK)
        pieces.extend(_slots(extension, 0, _EXTENSION_SLOTS))
        more = extension[504] not in b"\0000"
    return SparseMap(tuple(pieces), number(block[483:495]), 0)


def _slots(block: bytes, start: int, count: int) -> Iterator[tuple[int, int]]:
    for at in range(start, start + count * _SLOT, _SLOT):
        if block[at] == 0:
            return
        yield number(block[at : at + 12]), number(block[at + 12 : at + _SLOT])


def pax(records: Mapping[bytes, bytes], size: int, source: TarSource, limits: Limits) -> SparseMap | None:
    """Return the map that PAX records announce, or None when they announce none. Version 1.0 reads it from the data."""
    version = (records.get(b"GNU.sparse.major"), records.get(b"GNU.sparse.minor"))
    real_size = _decimal(records.get(b"GNU.sparse.realsize") or records.get(b"GNU.sparse.size") or b"%d" % size)
    if version == (b"1", b"0"):
        pieces, map_bytes = _read_version_1(source, size, limits)
        return SparseMap(pieces, real_size, map_bytes)
    joined = records.get(b"GNU.sparse.map")
    if joined is None or version not in ((None, None), (b"0", b"0"), (b"0", b"1")):
        return None
    values = joined.split(b",") if joined else []
    if len(values) % 2 or len(values) != 2 * _decimal(records.get(b"GNU.sparse.numblocks", b"")):
        raise ValueError("a sparse map of a wrong length")
    if len(values) > 2 * limits.sparse_pieces:
        raise _too_many(limits)
    return SparseMap(_pairs(values), real_size, 0)


def _read_version_1(source: TarSource, size: int, limits: Limits) -> tuple[Pieces, int]:
    """Read a map of decimal numbers, one a line, the count first, padded to a whole block; `size` bounds them."""
    read = bytearray()
    lines_needed = 1
    lines = 0
    while lines < lines_needed:
        if len(read) + BLOCK > size:
            raise ValueError("a sparse map that does not end")
        if len(read) > limits.header_size:
            raise _too_many(limits)
        block = source.exactly(BLOCK)
        read += block
        lines += block.count(b"\n")
        if lines_needed == 1 and lines:
            lines_needed = 1 + 2 * _decimal(bytes(read[: read.index(b"\n")]))
    values = bytes(read).split(b"\n")[1:lines_needed]
    return _pairs(values), len(read)


def _pairs(values: list[bytes]) -> Pieces:
    numbers = [_decimal(value) for value in values]
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def _decimal(value: bytes) -> int:
    if not value.isdigit() or len(value) > 19:
        raise ValueError(f"{value!r} where a number belongs")
    return int(value)


def _too_many(limits: Limits) -> TooLarge:
    return TooLarge(f"a sparse file has more than {limits.sparse_pieces} pieces", limit=limits.sparse_pieces)


def normalise(pieces: Pieces, size: int, stored: int) -> Pieces | None:
    """Return the pieces without empty ones and with neighbours joined; None when they are the whole file.

    Raise ValueError unless they ascend, stay inside `size` and add up to the `stored` bytes of the archive.
    """
    joined: list[tuple[int, int]] = []
    end = 0
    for offset, length in pieces:
        if offset < end or length < 0 or offset + length > size:
            raise ValueError("a sparse map that is out of order or outside its file")
        end = offset + length
        if joined and joined[-1][0] + joined[-1][1] == offset:
            joined[-1] = (joined[-1][0], joined[-1][1] + length)
        elif length:
            joined.append((offset, length))
    if sum(length for _, length in joined) != stored:
        raise ValueError("a sparse map that does not fit its data")
    return None if joined == [(0, size)] or size == 0 else tuple(joined)
