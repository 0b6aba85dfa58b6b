"""IndexWriter: from the entries of a layer to an EROFS image that shows them, with the contents left in the tar.

The image has the superblock and the table of tars first, then the inodes with what belongs right behind them
(attributes, chunk addresses, short link texts, small directories), then blocks of large directories and long link
texts, then shared attributes, then copied pieces of sparse files. The same entries give the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from lamina.errors import TooLarge, Unsupported
from lamina.layers.entry import FORMATS, Entry, EntryType
from lamina.layers.index import format as erofs
from lamina.layers.index.changeset import Changeset, Inode
from lamina.layers.index.chunks import Copy, FileMap
from lamina.layers.index.format import BLOCK, BLOCK_BITS, INODE_SIZE, SLOT, round_up
from lamina.layers.index.layout import Layout, pack_block
from lamina.layers.index.xattrs import units
from lamina.linux.files import copy_range

_UNMARKED = bytes(16)
_MAX_BLOCKS = 0xFFFFFFFF


class IndexWriter:
    """Collects the entries of one layer, or of several into one tree, and writes their index.

    Not thread-safe. Nothing is written, and no tar is opened, before `write`.
    """

    def __init__(self) -> None:
        self._changes = Changeset()

    def add(self, entry: Entry, *, device: int = 1, file: FileMap | None = None) -> None:
        """Take the next entry in the order of its archive; its `data_offset` counts where it has data.

        `device` says which of the tars given to `write` holds the data, the first being 1; `file` says where it is for
        a REGULAR entry of which that is known, in place of `data_offset`. Raise InvalidInput for an
        entry that no unpacker could put in place.
        """
        self._changes.add(entry, device, file)

    def write(self, path: Path, tar_size: int | Sequence[int], *, tars: Sequence[Path] = ()) -> None:
        """Write the index to `path`, which is made or replaced; it is neither synced nor renamed here. Call it once.

        `tar_size` is the size of the tar in bytes, or the sizes of all tars. `tars` are needed only where a sparse
        file has pieces that do not lie on block boundaries: those are copied into the index. Raise InvalidInput or
        TooLarge for what the format cannot hold, Unsupported when a tar is needed and not given, and OSError.
        """
        sizes = [tar_size] if isinstance(tar_size, int) else list(tar_size)
        tar_blocks = [(size + BLOCK - 1) >> BLOCK_BITS for size in sizes]
        layout = Layout(self._changes, tar_blocks)
        _Image(layout, tar_blocks).write(path, tars)


class _Image:
    """Fills the bytes in where the layout has put them."""

    def __init__(self, layout: Layout, tar_blocks: Sequence[int]) -> None:
        self._layout = layout
        self._tar_blocks = tar_blocks
        self._meta_start = round_up(erofs.DEVICE_TABLE + len(tar_blocks) * erofs.DEVICE_SLOT, BLOCK)
        self._first_data = (self._meta_start + layout.meta_size) >> BLOCK_BITS
        self._meta = bytearray(layout.meta_size)
        self._data = bytearray(layout.data_blocks * BLOCK)
        self._first_shared = self._first_data + layout.data_blocks
        self._blocks = self._first_shared + ((len(layout.shared) + BLOCK - 1) >> BLOCK_BITS)
        self._copies: list[tuple[int, Copy]] = []

    def write(self, path: Path, tars: Sequence[Path]) -> None:
        for number, inode in enumerate(self._layout.order, 1):
            self._pack_inode(inode, number)
        body = b"".join((self._meta, self._data, self._layout.shared))
        if max(self._blocks, *self._tar_blocks) > _MAX_BLOCKS:
            raise TooLarge("the layer is larger than an index can address", limit=_MAX_BLOCKS * BLOCK)
        with path.open("wb") as file:
            file.write(self._head(body))
            file.write(body)
            for block, copy in self._copies:
                self._copy(copy, block * BLOCK, file, tars)
            file.truncate(self._blocks * BLOCK)

    def _head(self, body: bytes) -> bytes:
        head = bytearray(self._meta_start)
        uuid = hashlib.blake2b(body, digest_size=16).digest()
        incompatible = erofs.INCOMPAT_CHUNKED_FILE | erofs.INCOMPAT_DEVICE_TABLE
        order = self._layout.order
        label = erofs.LABEL_IMPLIED if any(inode.implied for inode in order[1:]) else erofs.LABEL
        # fmt: off
        erofs.SUPER.pack_into(
            head, erofs.SUPER_OFFSET,
            erofs.MAGIC, 0, erofs.COMPAT_MTIME, BLOCK_BITS, 0, order[0].nid,
            len(order), 0, 0, self._blocks, self._meta_start >> BLOCK_BITS, self._first_shared,
            uuid, label, incompatible, 0,
            len(self._tar_blocks), erofs.DEVICE_TABLE // erofs.DEVICE_SLOT, 0, 0, 0, 0, 0,
        )
        # fmt: on
        for number, size in enumerate(self._tar_blocks):
            erofs.DEVICE.pack_into(head, erofs.DEVICE_TABLE + number * erofs.DEVICE_SLOT, b"", size, 0, 0, 0)
        return bytes(head)

    def _pack_inode(self, inode: Inode, number: int) -> None:
        entry = inode.entry
        offset = inode.nid * SLOT
        layout, union = self._contents(inode, offset + INODE_SIZE + len(inode.body))
        mode = entry.mode & 0o7777 if entry.type is not EntryType.SYMLINK else 0o777
        seconds, nanoseconds = divmod(entry.mtime_ns, 1_000_000_000)
        # fmt: off
        erofs.INODE.pack_into(
            self._meta, offset,
            1 | layout << 1, units(inode.body), FORMATS[entry.type] | mode, 0, inode.size,
            union, number, entry.uid, entry.gid, seconds, nanoseconds, inode.links,
            erofs.IMPLIED if inode.implied else _UNMARKED,
        )
        # fmt: on
        if inode.body:
            self._meta[offset + INODE_SIZE : offset + INODE_SIZE + len(inode.body)] = inode.body

    def _contents(self, inode: Inode, behind: int) -> tuple[int, int]:
        """Write what the inode refers to. Return its data layout and the union field of its record."""
        if inode.file is not None:
            self._pack_chunks(inode, inode.file, behind)
            return erofs.CHUNK_BASED, inode.file.format
        if inode.entry.type.is_device:
            return erofs.FLAT_PLAIN, erofs.encode_device(inode.entry.major, inode.entry.minor)
        if inode.rows is None and not inode.text:
            return erofs.FLAT_PLAIN, 0
        blocks = [pack_block(rows) for rows in inode.rows] if inode.rows is not None else [inode.text]
        if inode.inline:
            self._meta[behind : behind + inode.size] = blocks[0]
            return erofs.FLAT_INLINE, 0
        for number, block in enumerate(blocks, inode.start):
            self._data[number * BLOCK : number * BLOCK + len(block)] = block
        return erofs.FLAT_PLAIN, self._first_data + inode.start

    def _pack_chunks(self, inode: Inode, file: FileMap, behind: int) -> None:
        begin = (behind + 7) & -8
        for position, block in enumerate(file.blocks):
            device = inode.device if file.devices is None else file.devices[position]
            address = (0, device, block) if block >= 0 else erofs.HOLE
            erofs.CHUNK.pack_into(self._meta, begin + 8 * position, *address)
        for copy in file.copies:
            erofs.CHUNK.pack_into(self._meta, begin + 8 * copy.chunk, 0, 0, self._blocks)
            self._copies.append((self._blocks, copy))
            self._blocks += (copy.size + BLOCK - 1) >> BLOCK_BITS
            if self._blocks > _MAX_BLOCKS:
                raise TooLarge(f"the sparse file {inode.entry.path!r} is larger than an index can describe")

    def _copy(self, copy: Copy, offset: int, file: BinaryIO, tars: Sequence[Path]) -> None:
        if len(tars) < copy.device:
            raise Unsupported("a sparse file has pieces off the block boundaries, and its tar was not given")
        with tars[copy.device - 1].open("rb", buffering=0) as tar:
            for into, source, length in copy.pieces:
                file.seek(offset + into)
                file.flush()
                copy_range(tar.fileno(), file.fileno(), source, length)
