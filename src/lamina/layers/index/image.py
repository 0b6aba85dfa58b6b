"""Reading the records of an index: nothing in it is believed before it is checked, and every walk is bounded."""

from __future__ import annotations

import contextlib
import mmap
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from lamina.errors import Corrupt
from lamina.layers.index import format as erofs
from lamina.layers.index.format import BLOCK, BLOCK_BITS, DIRENT_SIZE, SLOT

_KNOWN_FEATURES = erofs.INCOMPAT_CHUNKED_FILE | erofs.INCOMPAT_DEVICE_TABLE
_MAP_FROM = 1 << 16
_PREFIXES = dict(erofs.XATTR_PREFIXES)


@dataclass(frozen=True, slots=True)
class RawInode:
    """An inode as its record says; `union` is a first block, a device number or a chunk format."""

    nid: int
    mode: int
    nlink: int
    size: int
    uid: int
    gid: int
    mtime_ns: int
    layout: int
    union: int
    xattrs: int
    """Bytes of extended attributes behind the record."""
    end: int
    """Where, in the index, what follows the record and its attributes begins."""
    implied: bool


@dataclass(frozen=True, slots=True)
class Device:
    """A tar: its size in blocks, and the block number by which inodes without chunks mean its first block (0: none)."""

    blocks: int
    first: int


class IndexImage:
    """The bytes of one index, and its records by number. Raises Corrupt for a damaged index."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._map: mmap.mmap | None = None
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < _MAP_FROM:
                self.data = memoryview(file.read())
            else:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                self.data = memoryview(self._map)
        try:
            self._read_super()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let the file go, once the streams over it have gone as well; a second call does nothing."""
        self.data.release()
        if self._map is not None:
            with contextlib.suppress(BufferError):
                self._map.close()

    @property
    def in_memory(self) -> bool:
        """Return whether the bytes were read, not mapped."""
        return self._map is None

    def damaged(self, what: str) -> NoReturn:
        """Raise Corrupt for this index."""
        raise Corrupt(f"the layer index {self._path} is damaged: {what}", path=str(self._path))

    def slice(self, offset: int, size: int) -> memoryview:
        """Return `size` bytes at `offset`. Raise Corrupt where the image ends before."""
        if offset < 0 or size < 0 or offset + size > len(self.data):
            self.damaged(f"{size} bytes at {offset} are outside it")
        return self.data[offset : offset + size]

    def _read_super(self) -> None:
        fields = erofs.SUPER.unpack(self.slice(erofs.SUPER_OFFSET, erofs.SUPER.size))
        magic, _, _, block_bits, _, self.root, _, self._epoch, self._nsec, _, meta, xattrs = fields[:12]
        incompatible, devices, slot, directory_bits = fields[14], fields[16], fields[17], fields[18]
        if magic != erofs.MAGIC:
            self.damaged("it does not begin as one")
        if block_bits != BLOCK_BITS or directory_bits or incompatible & ~_KNOWN_FEATURES:
            self.damaged("it has features that no layer index has")
        self.has_implied: bool = fields[13] == erofs.LABEL_IMPLIED
        self._meta = meta << BLOCK_BITS
        self._shared = xattrs << BLOCK_BITS
        self.devices: list[Device] = []
        for number in range(devices):
            record = self.slice((slot + number) * erofs.DEVICE_SLOT, erofs.DEVICE.size)
            _, blocks, first, _, _ = erofs.DEVICE.unpack(record)
            self.devices.append(Device(blocks, first))

    def inode(self, nid: int) -> RawInode:
        """Return the inode with number `nid`."""
        offset = self._meta + nid * SLOT
        form = int.from_bytes(self.slice(offset, 2), "little")
        layout = form >> 1 & 7
        if form & 1:
            _, count, mode, _, size, union, _, uid, gid, seconds, nsec, nlink, mark = erofs.INODE.unpack(
                self.slice(offset, erofs.INODE.size)
            )
            end = offset + erofs.INODE.size
        else:
            _, count, mode, nlink, size, _, union, _, uid, gid, _ = erofs.COMPACT.unpack(
                self.slice(offset, erofs.COMPACT.size)
            )
            seconds, nsec, mark = self._epoch, self._nsec, b""
            end = offset + erofs.COMPACT.size
            if form & 0x10 and mode & 0o170000 != 0o040000:
                nlink = 1
        if layout not in (erofs.FLAT_PLAIN, erofs.FLAT_INLINE, erofs.CHUNK_BASED) or size >= 1 << 63:
            self.damaged(f"inode {nid} has a layout that no layer index has")
        attributes = erofs.XATTR_BODY.size + 4 * (count - 1) if count else 0
        self.slice(end, attributes)
        mtime_ns = seconds * 1_000_000_000 + nsec
        return RawInode(
            nid, mode, nlink, size, uid, gid, mtime_ns, layout, union, attributes, end + attributes,
            mark == erofs.IMPLIED,
        )  # fmt: skip

    def contents(self, inode: RawInode) -> list[memoryview]:
        """Return the blocks of a directory or link text, which are in the index itself; the last may be shorter."""
        tail = inode.size % BLOCK if inode.layout == erofs.FLAT_INLINE else 0
        if inode.layout == erofs.FLAT_INLINE and inode.size and not tail:
            tail = BLOCK
        aligned = inode.size - tail
        data = self.slice(inode.union << BLOCK_BITS, aligned) if aligned else memoryview(b"")
        blocks = [data[begin : begin + BLOCK] for begin in range(0, aligned, BLOCK)]
        if tail:
            blocks.append(self.slice(inode.end, tail))
        return blocks

    def entries(self, directory: RawInode) -> dict[bytes, int]:
        """Return the names in a directory, "." and ".." among them, and the inode number of each."""
        entries: dict[bytes, int] = {}
        for block in self.contents(directory):
            raw = bytes(block)
            first = int.from_bytes(raw[8:10], "little")
            if first < DIRENT_SIZE or first > len(raw) or first % DIRENT_SIZE:
                self.damaged(f"directory {directory.nid} has a bad block")
            records = list(erofs.DIRENT.iter_unpack(raw[:first]))
            ends = [offset for _, offset, _ in records[1:]] + [len(raw)]
            for (nid, begin, _), end in zip(records, ends, strict=True):
                name = raw[begin:end]
                if end == len(raw):
                    name = name.rstrip(b"\0")
                if not name or begin < first or len(name) > erofs.NAME_MAX or b"/" in name or b"\0" in name:
                    self.damaged(f"directory {directory.nid} has a bad name")
                entries[name] = nid
        return entries

    def xattrs(self, inode: RawInode) -> dict[str, bytes]:
        """Return the extended attributes of an inode, by the names that are kept (see `xattrs.unescape`)."""
        if not inode.xattrs:
            return {}
        begin = inode.end - inode.xattrs
        _, shared = erofs.XATTR_BODY.unpack(self.slice(begin, erofs.XATTR_BODY.size))
        position = begin + erofs.XATTR_BODY.size
        xattrs: dict[str, bytes] = {}
        for number in memoryview(self._aligned(position, 4 * shared, inode)).cast("I"):
            self._xattr(self._shared + 4 * number, xattrs)
        position += 4 * shared
        while position < inode.end:
            position = self._xattr(position, xattrs)
        if position != inode.end:
            self.damaged(f"the attributes of inode {inode.nid} do not end where they should")
        return xattrs

    def _aligned(self, offset: int, size: int, inode: RawInode) -> bytes:
        if offset + size > inode.end:
            self.damaged(f"inode {inode.nid} has more shared attributes than it has room for")
        return bytes(self.slice(offset, size))

    def _xattr(self, offset: int, xattrs: dict[str, bytes]) -> int:
        """Read one attribute into `xattrs`. Return where the next one begins."""
        name_size, index, value_size = erofs.XATTR_ENTRY.unpack(self.slice(offset, erofs.XATTR_ENTRY.size))
        offset += erofs.XATTR_ENTRY.size
        if index not in _PREFIXES:
            self.damaged(f"an attribute name begins with the unknown prefix {index}")
        name = _PREFIXES[index] + bytes(self.slice(offset, name_size))
        xattrs[os.fsdecode(name)] = bytes(self.slice(offset + name_size, value_size))
        return erofs.round_up(offset + name_size + value_size, 4)
