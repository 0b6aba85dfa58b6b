"""Where everything in an index lies: inodes in order, directories, and what does not fit behind them in blocks of data.

Directories are blocks of sorted entries with their names behind them, so that a lookup is a bisection.
"""

from __future__ import annotations

import functools
import os
import struct
from collections.abc import Mapping, Sequence

from lamina.errors import InvalidInput
from lamina.layers.entry import EntryType
from lamina.layers.index.changeset import Changeset, Inode, walk_directories
from lamina.layers.index.chunks import check_data, map_file
from lamina.layers.index.format import (
    BLOCK,
    BLOCK_BITS,
    DIRENT_SIZE,
    DIRENT_TYPES,
    INODE_SIZE,
    SLOT,
    TARGET_MAX,
    round_up,
)
from lamina.layers.index.xattrs import Pair, XattrTable, kept_pairs

_REGULAR, _SYMLINK = EntryType.REGULAR, EntryType.SYMLINK


class Layout:
    """The plan of one image; made once from a finished changeset.

    `order` holds the inodes as they follow each other, each with its `nid`; `meta_size` is what they take, in bytes
    (whole blocks); `data_blocks` the blocks of large directories and long link texts; `shared` the packed attributes
    that several files have. Raises InvalidInput and TooLarge for what the format cannot hold.
    """

    def __init__(self, changes: Changeset, tar_blocks: Sequence[int]) -> None:
        self.order: list[Inode] = []
        self.data_blocks = 0
        self._tar_blocks = tar_blocks
        self._pairs: list[tuple[Inode, tuple[Pair, ...]]] = []
        self._xattrs = XattrTable()
        self._collect(changes.root)
        self.shared = self._xattrs.share()
        for inode, pairs in self._pairs:
            inode.body = self._xattrs.body(pairs)
        self.meta_size = self._place()

    def _collect(self, root: Inode) -> None:
        """Visit the tree once, directories before what is in them; count links."""
        for directory, parent in walk_directories(root):
            assert directory.children is not None
            directory.rows, directory.size = directory_blocks(directory.children, directory, parent)
            directory.links += 2
            if parent is not directory:
                parent.links += 1
            self._note(directory)
            for rows in directory.rows:
                for _, child in rows:
                    if child.children is None:
                        child.links += 1
                        if child.links == 1:
                            self._note(child)

    def _note(self, inode: Inode) -> None:
        self.order.append(inode)
        entry = inode.entry
        if entry.xattrs or inode.opaque or inode.hiding:
            pairs = kept_pairs(entry.xattrs, opaque=inode.opaque, hiding=inode.hiding)
            self._xattrs.count(pairs)
            self._pairs.append((inode, pairs))
        if entry.type is _REGULAR and entry.size:
            inode.size = entry.size
            if inode.file is not None:
                return
            if not 0 < inode.device <= len(self._tar_blocks):
                raise InvalidInput(f"{entry.path!r} has its data in a tar that was not named", device=inode.device)
            check_data(entry, self._tar_blocks[inode.device - 1])
            inode.file = map_file(entry, inode.device)
        elif entry.type is _SYMLINK:
            inode.text = os.fsencode(entry.target)
            inode.size = len(inode.text)
            if not 0 < inode.size <= TARGET_MAX:
                raise InvalidInput(f"the symlink {entry.path!r} has a target of {inode.size} bytes", path=entry.path)
            if b"\0" in inode.text:
                raise InvalidInput(f"the target of the symlink {entry.path!r} holds a NUL byte", path=entry.path)

    def _place(self) -> int:
        """Number the inodes. Neither an inode nor the contents that stand behind it may cross a block."""
        position = SLOT  # none has number 0: programs pass over such names, and ".." below the root would be one
        for inode in self.order:
            length = INODE_SIZE + len(inode.body)
            together = INODE_SIZE
            if inode.file is not None:
                length = ((length + 7) & -8) + 8 * len(inode.file.blocks)
            elif inode.rows is not None or inode.text:
                inode.inline = length + inode.size <= BLOCK
                if inode.inline:
                    length = together = length + inode.size
                else:
                    inode.start = self.data_blocks
                    self.data_blocks += (inode.size + BLOCK - 1) >> BLOCK_BITS
            if position % BLOCK + together > BLOCK:
                position = round_up(position, BLOCK)
            inode.nid = position // SLOT
            position = (position + length + SLOT - 1) & -SLOT
        return round_up(position, BLOCK)


Row = tuple[bytes, Inode]


def directory_blocks(children: Mapping[bytes, Inode], me: Inode, parent: Inode) -> tuple[list[list[Row]], int]:
    """Return a directory's entries, with "." and "..", cut into blocks, and their size in bytes."""
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
    """Return one block (not padded), once every inode of it has its number."""
    fields: list[int] = []
    offset = DIRENT_SIZE * len(rows)
    for name, inode in rows:
        fields += (inode.nid, offset, DIRENT_TYPES[inode.entry.type])
        offset += len(name)
    return _records(len(rows)).pack(*fields) + b"".join(map(_name, rows))


@functools.lru_cache(maxsize=64)
def _records(count: int) -> struct.Struct:
    return struct.Struct("<" + "QHBx" * count)
