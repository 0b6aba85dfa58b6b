"""Directories in an index: blocks of sorted entries with their names behind them, so that a lookup is a bisection."""

from __future__ import annotations

import functools
import struct
from collections.abc import Mapping, Sequence

from lamina.layers.index.changeset import Inode
from lamina.layers.index.format import BLOCK, DIRENT_SIZE, DIRENT_TYPES

Row = tuple[bytes, Inode]


def directory_blocks(children: Mapping[bytes, Inode], me: Inode, parent: Inode) -> tuple[list[list[Row]], int]:
    """The entries of a directory, "." and ".." among them, cut into blocks; and the size of the whole in bytes."""
    rows = [*children.items(), (b".", me), (b"..", parent)]
    rows.sort(key=_name)
    total = DIRENT_SIZE * len(rows) + sum(map(len, children)) + 3
    if total <= BLOCK:
        return [rows], total
    blocks: list[list[Row]] = []
    begin, used = 0, 0
    for number, (name, _) in enumerate(rows):
        need = DIRENT_SIZE + len(name)
        if used + need > BLOCK:
            blocks.append(rows[begin:number])
            begin, used = number, 0
        used += need
    blocks.append(rows[begin:])
    return blocks, (len(blocks) - 1) * BLOCK + used


def _name(row: Row) -> bytes:
    return row[0]


def pack_block(rows: Sequence[Row]) -> bytes:
    """One block (not padded), once every inode of it has its number."""
    fields: list[int] = []
    offset = DIRENT_SIZE * len(rows)
    for name, inode in rows:
        fields += (inode.nid, offset, DIRENT_TYPES[inode.entry.type])
        offset += len(name)
    return _records(len(rows)).pack(*fields) + b"".join(map(_name, rows))


@functools.lru_cache(maxsize=64)
def _records(count: int) -> struct.Struct:
    return struct.Struct("<" + "QHBx" * count)
