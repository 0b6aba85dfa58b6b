"""The 512-byte block at the head of each member: fields, numbers and checksum (POSIX pax "ustar", GNU, old v7).

What is accepted follows Go's archive/tar, which Docker, containerd and podman read layers with: numbers in octal with
spaces or NULs around them, or in base 256 when the first bit is set; signed and unsigned checksums.
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from typing import NamedTuple

from lamina.errors import InvalidInput

BLOCK = 512
ZERO_BLOCK = bytes(BLOCK)
_LAYOUT = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12s")
_USTAR_MAGIC = b"ustar\x0000"
GNU_MAGIC = b"ustar  \x00"
_STAR_TRAILER = b"tar\0"
_OCTAL = frozenset(b"01234567")


class Header(NamedTuple):
    """The fields of one header block as they are, before extended headers override them. Numbers are plain."""

    name: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    kind: bytes
    link: bytes
    magic: bytes
    uname: bytes
    gname: bytes
    major: int
    minor: int


def parse_header(block: bytes, offset: int) -> Header:
    """Read one header block; `offset` is where it stands in the archive, for messages.

    Raise InvalidInput when the checksum is wrong or a field does not hold a number.
    """
    fields = _LAYOUT.unpack(block)
    name, mode, uid, gid, size, mtime, checksum, kind, link, magic, uname, gname, major, minor, prefix, rest = fields
    _verify_checksum(block, checksum, offset)
    if magic == _USTAR_MAGIC or magic[:6] == b"ustar\0":
        if rest[-4:] == _STAR_TRAILER:
            prefix = prefix[:131]
        if prefix[0]:
            name = text(prefix) + b"/" + text(name)
    elif magic != GNU_MAGIC:
        uname = gname = major = minor = b""
    try:
        return Header(
            text(name),
            number(mode),
            number(uid),
            number(gid),
            number(size),
            number(mtime),
            kind,
            text(link) if link[0] else b"",
            magic,
            text(uname),
            text(gname),
            number(major),
            number(minor),
        )
    except ValueError as error:
        raise InvalidInput(f"the tar header at byte {offset} holds {error}", offset=offset) from error


def text(field: bytes) -> bytes:
    """Return a field up to its first NUL."""
    end = field.find(0)
    return field if end < 0 else field[:end]


@lru_cache(4096)
def number(field: bytes) -> int:
    """Return a numeric field: octal digits, or base 256 in two's complement. Raise ValueError with the field in words.

    Remembered, because modes, owners and times repeat from member to member.
    """
    if field and field[0] & 0x80:
        value = int.from_bytes(field, "big") - (0x80 << 8 * (len(field) - 1))
        sign = 0x40 << 8 * (len(field) - 1)
        return value - 2 * sign if value & sign else value
    digits = text(field.strip(b" \0"))
    if not digits:
        return 0
    if not _OCTAL.issuperset(digits):
        raise ValueError(f"{field!r} where a number belongs")
    return int(digits, 8)


def checksum_of(block: bytes) -> int:
    """Return the sum of all bytes with the checksum field taken as spaces."""
    # Adler-32's low half is 1 + the sum of the bytes: exact for 256 bytes, and many times faster than sum().
    total = (zlib.adler32(block[:256]) & 0xFFFF) + (zlib.adler32(block[256:]) & 0xFFFF) - 2
    return total - (zlib.adler32(block[148:156]) & 0xFFFF) + 1 + 8 * 32


def _verify_checksum(block: bytes, field: bytes, offset: int) -> None:
    try:
        stored = number(field)
    except ValueError:
        stored = -1
    expected = checksum_of(block)
    if stored == expected:
        return
    signed = sum(struct.unpack("512b", block)) - sum(struct.unpack("8b", block[148:156])) + 8 * 32
    if stored != signed:
        raise InvalidInput(
            f"the tar header at byte {offset} is damaged, or this is not a tar archive",
            offset=offset,
            expected=expected,
            found=stored,
        )
