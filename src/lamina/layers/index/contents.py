"""The contents of a file of an index, as a stream over the tar (or tars) they lie in."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from lamina.errors import Corrupt
from lamina.layers.index import format as erofs
from lamina.layers.index.chunks import chunk_bits
from lamina.layers.index.format import BLOCK, BLOCK_BITS
from lamina.layers.index.image import IndexImage, RawInode

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Extent(NamedTuple):
    """A run of a file's bytes: `device` is the number of the tar (from 1), 0 for the index itself; `offset` is the
    place in it in bytes, -1 for a hole."""

    device: int
    offset: int
    length: int


class FileLayout:
    """Where the bytes of one regular file lie. Raises Corrupt for an inode that cannot be one."""

    def __init__(self, image: IndexImage, inode: RawInode) -> None:
        self.image = image
        self.inode = inode
        self.size = inode.size
        self.bits = chunk_bits(max(inode.size, 1))
        if inode.layout == erofs.CHUNK_BASED and inode.size:
            self.bits = BLOCK_BITS + (inode.union & erofs.CHUNK_BITS_MASK)
            if inode.union & ~erofs.CHUNK_BITS_MASK != erofs.CHUNK_INDEXES:
                image.damaged(f"inode {inode.nid} has an unknown chunk format")
            count = (inode.size + (1 << self.bits) - 1) >> self.bits
            self._chunks = image.slice(erofs.round_up(inode.end, 8), count * erofs.CHUNK.size)

    def extent(self, position: int) -> Extent:
        """Return the run that byte `position` (below the size) is in, from that byte on."""
        inode = self.inode
        if inode.layout == erofs.CHUNK_BASED:
            return self._chunk(position)
        if inode.layout == erofs.FLAT_INLINE:
            tail = (inode.size - 1) & -BLOCK
            if position >= tail:
                return Extent(0, inode.end + position - tail, inode.size - position)
            return self._flat(position, tail - position)
        return self._flat(position, inode.size - position)

    def _flat(self, position: int, length: int) -> Extent:
        block = self.inode.union
        for number, device in enumerate(self.image.devices, 1):
            if device.first and device.first <= block < device.first + device.blocks:
                return Extent(number, ((block - device.first) << BLOCK_BITS) + position, length)
        return Extent(0, (block << BLOCK_BITS) + position, length)

    def _chunk(self, position: int) -> Extent:
        number = position >> self.bits
        begin = number << self.bits
        record = erofs.CHUNK.unpack_from(self._chunks, number * erofs.CHUNK.size)
        length = min(begin + (1 << self.bits), self.size) - position
        if record[2] == erofs.HOLE[2]:
            return Extent(0, -1, length)
        if record[1] > len(self.image.devices):
            self.image.damaged(f"inode {self.inode.nid} lies in tar {record[1]}, which it does not name")
        return Extent(record[1], (record[2] << BLOCK_BITS) + position - begin, length)


class ContentStream(io.RawIOBase):
    """A seekable stream over a file; `tar` opens the tar with a given number, and returns a descriptor to be closed."""

    def __init__(self, layout: FileLayout, tar: Callable[[int], int]) -> None:
        super().__init__()
        self._layout = layout
        self._open_tar = tar
        self._tars: dict[int, int] = {}
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._layout.size}[whence]
        if start + offset < 0:
            raise ValueError(f"negative seek position {start + offset}")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        room = memoryview(buffer).cast("B")
        if not room or self._position >= self._layout.size:
            return 0
        extent = self._layout.extent(self._position)
        count = min(len(room), extent.length)
        if extent.offset < 0:
            room[:count] = bytes(count)
        elif extent.device == 0:
            room[:count] = self._layout.image.slice(extent.offset, count)
        else:
            count = self._read_tar(extent, room[:count])
        self._position += count
        return count

    def _read_tar(self, extent: Extent, room: memoryview) -> int:
        if extent.device not in self._tars:
            self._tars[extent.device] = self._open_tar(extent.device)
        done = os.preadv(self._tars[extent.device], [room], extent.offset)
        if not done:
            raise Corrupt("a layer's tar ends before the contents that its index describes", offset=extent.offset)
        return done

    def close(self) -> None:
        """Close the tars that were opened for it; a second call does nothing."""
        while self._tars:
            os.close(self._tars.popitem()[1])
        super().close()
