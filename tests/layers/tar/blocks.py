"""Archives put together by hand, block by block, and a look at what the reader makes of them."""

from __future__ import annotations

import io

from lamina.layers.entry import Entry
from lamina.layers.limits import Limits
from lamina.layers.tar.header import checksum_of
from lamina.layers.tar.reader import read_tar

END = bytes(1024)


def header(name: bytes, kind: bytes = b"0", size: int = 0, **fields: bytes) -> bytes:
    """One ustar header block; fields by their offset's name replace what is there."""
    block = bytearray(512)
    places = {"name": 0, "mode": 100, "uid": 108, "gid": 116, "size": 124, "mtime": 136, "kind": 156, "link": 157}
    places |= {"magic": 257, "uname": 265, "gname": 297, "major": 329, "minor": 337, "prefix": 345, "trailer": 508}
    values = {"name": name, "mode": b"0000644\0", "uid": b"0000000\0", "gid": b"0000000\0", "mtime": b"00000000000\0"}
    values |= {"size": b"%011o\0" % size, "kind": kind, "magic": b"ustar\x0000", **fields}
    for field, value in values.items():
        block[places[field] : places[field] + len(value)] = value
    block[148:156] = b"%06o\0 " % checksum_of(bytes(block))
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def extended(records: bytes, kind: bytes = b"x") -> bytes:
    return header(b"PaxHeader", kind, len(records)) + padded(records)


def record(key: bytes, value: bytes) -> bytes:
    for length in range(len(key) + len(value) + 4, len(key) + len(value) + 12):
        made = b"%d %s=%s\n" % (length, key, value)
        if len(made) == length:
            return made
    raise AssertionError


def read(archive: bytes, limits: Limits | None = None) -> list[tuple[Entry, bytes]]:
    return [(member.entry, member.data.read()) for member in read_tar(io.BytesIO(archive), limits)]


def only(archive: bytes) -> Entry:
    [(entry, _)] = read(archive)
    return entry
