"""Where the contents of a regular file lie: an array of equal chunks, each somewhere in a tar or a hole.

A file without holes is one chunk in its tar. A sparse file is cut so that holes and data fall into different chunks.
Where that would take very many chunks, or where the pieces do not lie on block boundaries, the chunks that mix are
copied into the index, as a sparse part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lamina.errors import InvalidInput
from lamina.layers.entry import Entry
from lamina.layers.index.format import BLOCK, BLOCK_BITS, CHUNK_BITS_MASK, CHUNK_INDEXES

_FEW_CHUNKS = 1 << 13
_MAX_CHUNKS = 1 << 24
_MAX_BITS = BLOCK_BITS + CHUNK_BITS_MASK


@dataclass(slots=True)
class Copy:
    """A chunk to be written out in the index: `pieces` are (offset in the chunk, offset in the tar, length)."""

    chunk: int
    size: int
    device: int
    pieces: list[tuple[int, int, int]]


@dataclass(slots=True)
class FileMap:
    """The chunks of one file: `bits` is the power of two of their size, `blocks` where each starts in the tar (in
    blocks, -1 for a hole or for a chunk that `copies` holds), `devices` in which tar, where that is not the entry's."""

    bits: int
    blocks: Sequence[int]
    copies: Sequence[Copy] = ()
    devices: Sequence[int] | None = None

    @property
    def format(self) -> int:
        """Return the inode's chunk format."""
        return CHUNK_INDEXES | (self.bits - BLOCK_BITS)


def chunk_bits(size: int) -> int:
    """Return the smallest power of two that holds `size` bytes in one chunk, within what the format knows."""
    return min(max((size - 1).bit_length(), BLOCK_BITS), _MAX_BITS)


def check_data(entry: Entry, tar_blocks: int) -> None:
    """Raise InvalidInput unless the data of `entry`, if it has any, begins on a block and ends within the tar."""
    if not entry.stored_size:
        return
    if entry.data_offset < 0 or entry.data_offset % BLOCK:
        raise InvalidInput(
            f"the data of {entry.path!r} does not begin on a {BLOCK}-byte block of its tar", offset=entry.data_offset
        )
    if entry.data_offset + entry.stored_size > tar_blocks * BLOCK:
        raise InvalidInput(f"the data of {entry.path!r} ends behind the end of its tar", path=entry.path)


def map_file(entry: Entry, device: int) -> FileMap:
    """Return the chunks of a REGULAR entry with a size above 0, whose data is in tar number `device`."""
    if entry.sparse is not None:
        return _map_sparse(entry, device)
    bits = chunk_bits(entry.size)
    count = (entry.size + (1 << bits) - 1) >> bits
    first = entry.data_offset >> BLOCK_BITS
    return FileMap(bits, [first + (number << (bits - BLOCK_BITS)) for number in range(count)])


def _map_sparse(entry: Entry, device: int) -> FileMap:
    pieces = _pieces(entry)
    bits = _sparse_bits(entry, pieces)
    size = 1 << bits
    blocks = [-1] * ((entry.size + size - 1) >> bits)
    copies: dict[int, Copy] = {}
    for offset, source, length in pieces:
        end = offset + length
        for number in range(offset >> bits, ((end - 1) >> bits) + 1):
            begin = number << bits
            left, right = max(begin, offset), min(begin + size, end)
            if left == begin and right == min(begin + size, entry.size) and (source + left - offset) % BLOCK == 0:
                blocks[number] = (source + left - offset) >> BLOCK_BITS
                continue
            here = min(size, entry.size - begin)
            copy = copies.setdefault(number, Copy(number, here, device, []))
            copy.pieces.append((left - begin, source + left - offset, right - left))
    return FileMap(bits, blocks, tuple(copies.values()))


def _pieces(entry: Entry) -> list[tuple[int, int, int]]:
    """Return (offset in the file, offset in the tar, length) of the data, with neighbours joined."""
    pieces: list[tuple[int, int, int]] = []
    source, last = entry.data_offset, 0
    for offset, length in entry.sparse or ():
        if length < 0 or offset < last or offset + length > entry.size:
            raise InvalidInput(f"the sparse map of {entry.path!r} is not in order", path=entry.path)
        last = offset + length
        if pieces and pieces[-1][0] + pieces[-1][2] == offset:
            before = pieces.pop()
            pieces.append((before[0], before[1], before[2] + length))
        elif length:
            pieces.append((offset, source, length))
        source += length
    return pieces


def _sparse_bits(entry: Entry, pieces: list[tuple[int, int, int]]) -> int:
    """Return the size of the chunks of a sparse file.

    It is the largest that no boundary between hole and data cuts. Where that takes many chunks, it is the one for
    which chunk addresses and copied data together are smallest.
    """
    largest = chunk_bits(entry.size)
    edges = {edge for offset, _, length in pieces for edge in (offset, offset + length)} - {0, entry.size}
    exact = min([largest, *((edge & -edge).bit_length() - 1 for edge in edges)])
    if exact >= BLOCK_BITS and entry.size >> exact <= _FEW_CHUNKS:
        return exact
    possible = [bits for bits in range(max(exact, BLOCK_BITS), largest + 1) if entry.size >> bits <= _MAX_CHUNKS]
    if not possible:
        raise InvalidInput(f"the sparse file {entry.path!r} is larger than an index can describe", path=entry.path)
    return min(possible, key=lambda bits: 8 * (entry.size >> bits) + _copied(pieces, bits))


def _copied(pieces: list[tuple[int, int, int]], bits: int) -> int:
    """Estimate what copying the cut chunks costs, with chunks of this size: their data, and some of their holes."""
    total, cut, mask = 0, set(), (1 << bits) - 1
    for offset, _, length in pieces:
        head = min(-offset & mask, length)
        tail = (length - head) & mask
        total += head + tail
        if head:
            cut.add(offset >> bits)
        if tail:
            cut.add((offset + length) >> bits)
    return total + (len(cut) << bits >> 10)
