"""Writing tars: ustar, with PAX records only for members that ustar cannot hold.

The bytes depend on the entries and their data alone: no clock, no process id, no user names of this machine. Sparse
files are written as GNU sparse 1.0 over PAX, which Go's archive/tar, GNU tar, bsdtar and Python read; pieces whose
length is no multiple of 512 should only come last, for GNU tar begins each piece on a block of its own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from lamina.errors import InvalidInput
from lamina.layers.entry import Entry, EntryType
from lamina.layers.tar import pax
from lamina.layers.tar.header import BLOCK, ZERO_BLOCK, checksum_of
from lamina.layers.tar.source import CHUNK, Readable

_NUMBERS = b"%07o\0%07o\0%07o\0%011o\0%011o\0        %s"
_TAIL = struct.Struct("100s8s32s32s8s8s155s12x")
_PLAIN_TAIL = _TAIL.pack(b"", b"ustar\x0000", b"", b"", b"0000000\0", b"0000000\0", b"")
_KINDS = {
    EntryType.REGULAR: b"0",
    EntryType.HARDLINK: b"1",
    EntryType.SYMLINK: b"2",
    EntryType.CHAR: b"3",
    EntryType.BLOCK: b"4",
    EntryType.DIRECTORY: b"5",
    EntryType.FIFO: b"6",
}
_MAX_SEVEN = 0o7777777
_MAX_ELEVEN = 0o77777777777
_PADDING = [bytes(-size % BLOCK) for size in range(BLOCK)]


class Writable(Protocol):
    """Where an archive goes to."""

    def write(self, data: bytes, /) -> object: ...


class TarWriter:
    """Writes members one after the other to `sink`, in small pieces: give it a buffered one.

    It never closes the sink. After an exception from `add` the archive is broken and can only be thrown away.
    """

    def __init__(self, sink: Writable) -> None:
        self._sink = sink
        self._closed = False
        self.offset = 0
        """Bytes written so far; always whole blocks between members."""

    def add(self, entry: Entry, data: Readable | bytes | None = None) -> int:
        """Write one member. Return where in the archive its data starts, -1 when it has none.

        `data` is what the archive stores: for REGULAR exactly `entry.stored_size` bytes (the pieces of a sparse file
        one after the other), for others it is ignored. A reader may hold more, only that much is taken. Raises
        InvalidInput when `data` is shorter, and for numbers that no tar holds.
        """
        stored = entry.stored_size if entry.type is EntryType.REGULAR else 0
        table = _sparse_table(entry.sparse, entry.size) if entry.sparse is not None else b""
        head = _head(entry, stored + len(table)) + table
        start = self.offset + len(head)
        if isinstance(data, bytes) and len(data) == stored:
            self._sink.write(head + data + _PADDING[stored % BLOCK])
        else:
            self._sink.write(head)
            self._copy(entry, data, stored)
            self._sink.write(_PADDING[stored % BLOCK])
        self.offset = start + stored + -stored % BLOCK
        return start if entry.type is EntryType.REGULAR and entry.size else -1

    @contextmanager
    def around(self, entry: Entry) -> Iterator[None]:
        """Write the header of a plain file on entering, its padding on leaving.

        The `entry.size` bytes between are put behind the header by the caller, past this writer, so that the kernel
        can copy them. Raise InvalidInput for numbers that no tar holds.
        """
        head = _head(entry, entry.size)
        self._sink.write(head)
        yield
        self._sink.write(_PADDING[entry.size % BLOCK])
        self.offset += len(head) + entry.size + -entry.size % BLOCK

    def _copy(self, entry: Entry, data: Readable | bytes | None, size: int) -> None:
        left = size
        if isinstance(data, bytes):
            left -= len(data)
            self._sink.write(data if left >= 0 else data[:size])
        elif data is not None:
            while left and (piece := data.read(min(left, CHUNK))):
                self._sink.write(piece)
                left -= len(piece)
        if left > 0:
            raise InvalidInput(f"the data of {entry.path!r} is {left} bytes shorter than its size", path=entry.path)

    def close(self) -> None:
        """Write the two blocks of zeros that end an archive. A second call does nothing."""
        if not self._closed:
            self._closed = True
            self._sink.write(ZERO_BLOCK + ZERO_BLOCK)
            self.offset += 2 * BLOCK


def _head(entry: Entry, stored: int) -> bytes:
    """Return the header blocks of a member: a ustar header, behind an extended one where that does not suffice."""
    name = entry.path.encode("utf-8", "surrogateescape")
    if entry.type is EntryType.DIRECTORY:
        name = name.removesuffix(b"/") + b"/" if name else b"./"
    if len(name) <= 100:
        prefix, short = b"", name
    else:
        prefix, short = _split(name)
    records = _records(entry, name if len(name) > 100 and not prefix else b"", stored)
    if entry.sparse is not None:
        records += _sparse_records(entry, name)
        prefix, short = b"GNUSparseFile.0", name[-100:]
    header = _header(entry, short, prefix, stored)
    return _extended_header(name, records) + header if records else header


def _split(name: bytes) -> tuple[bytes, bytes]:
    """Return prefix and name of a ustar header for a long path; an empty prefix when it does not fit."""
    cut = name.rfind(b"/", 0, min(156, len(name) - 1))
    return (name[:cut], name[cut + 1 :]) if cut > 0 and len(name) - cut - 1 <= 100 else (b"", name[:100])


def _records(entry: Entry, long_name: bytes, stored: int) -> bytes:
    """Return what ustar cannot say of `entry`, as PAX records sorted by key."""
    if not (long_name or entry.xattrs or entry.target or entry.uname or entry.gname) and _plain_numbers(entry, stored):
        return b""
    records: dict[bytes, bytes] = {}
    if long_name:
        records[b"path"] = long_name
    if len(entry.target) > 25 and len(target := entry.target.encode("utf-8", "surrogateescape")) > 100:
        records[b"linkpath"] = target
    if stored > _MAX_ELEVEN:
        records[b"size"] = b"%d" % stored
    for key, number in ((b"uid", entry.uid), (b"gid", entry.gid)):
        if number > _MAX_SEVEN:
            records[key] = b"%d" % number
    if entry.mtime_ns % pax.NANO or not 0 <= entry.mtime_ns // pax.NANO <= _MAX_ELEVEN:
        records[b"mtime"] = pax.format_time(entry.mtime_ns)
    for key, text in ((b"uname", entry.uname), (b"gname", entry.gname)):
        if len(text) > 7 and len(raw := text.encode("utf-8", "surrogateescape")) > 32:
            records[key] = raw
    for name, value in entry.xattrs.items():
        records[pax.xattr_key(name)] = value
    return b"".join(pax.format_record(key, records[key]) for key in sorted(records)) if records else b""


def _plain_numbers(entry: Entry, stored: int) -> bool:
    seconds, fraction = divmod(entry.mtime_ns, pax.NANO)
    return (
        not fraction
        and 0 <= seconds <= _MAX_ELEVEN
        and stored <= _MAX_ELEVEN
        and entry.uid <= _MAX_SEVEN
        and entry.gid <= _MAX_SEVEN
    )


def _sparse_records(entry: Entry, name: bytes) -> bytes:
    return b"".join(
        pax.format_record(key, value)
        for key, value in (
            (b"GNU.sparse.major", b"1"),
            (b"GNU.sparse.minor", b"0"),
            (b"GNU.sparse.name", name),
            (b"GNU.sparse.realsize", b"%d" % entry.size),
        )
    )


def _sparse_table(pieces: tuple[tuple[int, int], ...], size: int) -> bytes:
    if not pieces or sum(pieces[-1]) < size:
        pieces = (*pieces, (size, 0))  # GNU tar takes the end of the last piece for the end of the file
    numbers = [len(pieces), *(number for piece in pieces for number in piece)]
    table = b"".join(b"%d\n" % number for number in numbers)
    return table + bytes(-len(table) % BLOCK)


def _extended_header(name: bytes, records: bytes) -> bytes:
    label = b"PaxHeaders.0/" + name.rstrip(b"/").rpartition(b"/")[2]
    header = _block(label[:100], _NUMBERS % (0o644, 0, 0, len(records), 0, b"x"), _PLAIN_TAIL)
    return header + records + bytes(-len(records) % BLOCK)


def _header(entry: Entry, name: bytes, prefix: bytes, stored: int) -> bytes:
    if not (0 <= entry.major <= _MAX_SEVEN and 0 <= entry.minor <= _MAX_SEVEN and 0 <= entry.mode <= 0o7777):
        raise InvalidInput(f"the mode or device number of {entry.path!r} fits no tar", path=entry.path)
    seconds = entry.mtime_ns // pax.NANO
    numbers = _NUMBERS % (
        entry.mode,
        entry.uid if entry.uid <= _MAX_SEVEN else 0,
        entry.gid if entry.gid <= _MAX_SEVEN else 0,
        stored if stored <= _MAX_ELEVEN else 0,
        seconds if 0 <= seconds <= _MAX_ELEVEN else 0,
        _KINDS[entry.type],
    )
    if entry.target or entry.uname or entry.gname or entry.major or entry.minor or prefix:
        tail = _TAIL.pack(
            entry.target.encode("utf-8", "surrogateescape")[:100],
            b"ustar\x0000",
            entry.uname.encode("utf-8", "surrogateescape")[:32],
            entry.gname.encode("utf-8", "surrogateescape")[:32],
            b"%07o\0" % entry.major,
            b"%07o\0" % entry.minor,
            prefix,
        )
    else:
        tail = _PLAIN_TAIL
    return _block(name, numbers, tail)


def _block(name: bytes, numbers: bytes, tail: bytes) -> bytes:
    block = name.ljust(100, b"\0") + numbers + tail
    return block[:148] + b"%06o\0 " % checksum_of(block) + block[156:]
