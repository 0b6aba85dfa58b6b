"""The on-disk format of EROFS, as far as layer indexes use it: numbers and records.

From Linux' Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h. All numbers are little endian.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from lamina.layers.entry import EntryType

MAGIC = 0xE0F5E1E2
SUPER_OFFSET = 1024
BLOCK_BITS = 9
BLOCK = 1 << BLOCK_BITS
"""A tar is made of 512-byte blocks, so an index over it is as well."""

COMPAT_MTIME = 0x2
INCOMPAT_CHUNKED_FILE = 0x4
INCOMPAT_DEVICE_TABLE = 0x8

FLAT_PLAIN = 0
FLAT_INLINE = 2
CHUNK_BASED = 4
"""Data layouts of an inode: whole blocks elsewhere, bytes right behind the inode, an array of chunk addresses."""

CHUNK_BITS_MASK = 0x1F
CHUNK_INDEXES = 0x20
HOLE = (0xFFFF, 0, 0xFFFFFFFF)
"""The chunk record of a hole."""

SLOT = 32
"""Bytes per inode number: inode `nid` is at `nid * SLOT` behind the start of the metadata."""
INODE_SIZE = 64
NAME_MAX = 255
VALUE_MAX = 0xFFFF
TARGET_MAX = 4095

# magic checksum compat blkszbits extslots rootnid | inos epoch | nsec blocks meta xattr | uuid name |
# incompat algs devices slotoff dirblkbits prefixes prefixstart | packed_nid filter/ishare/reserved build_time rootnid8
SUPER = struct.Struct("<IIIBBHQQIIII16s16sIHHHBBIQ4xI8x")
DEVICE = struct.Struct("<64sIIHH52x")
DEVICE_SLOT = 128
DEVICE_TABLE = SUPER_OFFSET + 128

# format xattr_icount mode startblk_hi size union ino uid gid mtime mtime_nsec nlink
INODE = struct.Struct("<HHHHQIIIIqII16s")
COMPACT = struct.Struct("<HHHHIIIIHHI")
CHUNK = struct.Struct("<HHI")
DIRENT = struct.Struct("<QHBx")
DIRENT_SIZE = DIRENT.size
XATTR_BODY = struct.Struct("<IB7x")
XATTR_ENTRY = struct.Struct("<BBH")

XATTR_PREFIXES: tuple[tuple[int, bytes], ...] = (
    (1, b"user."),
    (2, b"system.posix_acl_access"),
    (3, b"system.posix_acl_default"),
    (4, b"trusted."),
    (6, b"security."),
    (0, b""),
)
"""Numbers that stand for the beginning of a name. 0 is ours: the whole name is written, and the kernel, which has no
handler for such names, leaves them out."""

DIRENT_TYPES: Mapping[EntryType, int] = {
    EntryType.REGULAR: 1,
    EntryType.DIRECTORY: 2,
    EntryType.CHAR: 3,
    EntryType.BLOCK: 4,
    EntryType.FIFO: 5,
    EntryType.SYMLINK: 7,
}
"""The number of each type in a directory."""

IMPLIED = b"implied".ljust(16, b"\0")
"""Our mark in the reserved end of an inode: a directory that the layer needs and did not describe."""

LABEL = b"layer".ljust(16, b"\0")
LABEL_IMPLIED = b"layer, implied".ljust(16, b"\0")
"""Volume names: the second tells that directories below the root are implied."""

OPAQUE_XATTR = "trusted.overlay.opaque"
ORIGIN_XATTR = "trusted.overlay.origin"
"""Marks, for overlayfs: a directory that hides what lies below it, and one whose whiteouts must not be listed even
where nothing lies below it. (Overlayfs lists a directory that it merges with no other as it is, unless that says by an
origin, which may be empty, that it was merged once.)"""


def encode_device(major: int, minor: int) -> int:
    """Return a device number in the kernel's 32-bit form (12 bits major, 20 bits minor)."""
    return (minor & 0xFF) | ((major & 0xFFF) << 8) | ((minor & 0xFFF00) << 12)


def decode_device(number: int) -> tuple[int, int]:
    """Return the (major, minor) of what `encode_device` gave."""
    return (number >> 8) & 0xFFF, (number & 0xFF) | ((number >> 12) & 0xFFF00)


def round_up(number: int, unit: int) -> int:
    """Return the smallest multiple of `unit` (a power of two) that is not below `number`."""
    return (number + unit - 1) & -unit
