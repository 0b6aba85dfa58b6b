"""Reading the tars that images are made of, one member after the other, from a stream.

Understood: old v7, ustar, GNU (long names, base-256 numbers, old sparse) and PAX (all of POSIX's records that concern
files, xattrs of star and libarchive, GNU sparse 0.0, 0.1 and 1.0). What is lenient and what is refused follows Go's
archive/tar, with which other engines read layers, so that all agree on what a layer holds:

- An archive may end without its two blocks of zeros, and after them anything may follow.
- Global extended headers ("g") are passed over, not applied.
- Links, devices and directories have no data, whatever their size field says.
- Times outside of what signed 64-bit nanoseconds hold count as 1970.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lamina.errors import InvalidInput, TooLarge
from lamina.layers.entry import Entry, EntryType, clean_path
from lamina.layers.limits import Limits
from lamina.layers.tar import pax, sparse
from lamina.layers.tar.header import BLOCK, ZERO_BLOCK, Header, parse_header
from lamina.layers.tar.source import PieceReader, Readable, TarSource

if TYPE_CHECKING:
    pass

_TYPES = {
    b"0": EntryType.REGULAR,
    b"\0": EntryType.REGULAR,
    b"7": EntryType.REGULAR,
    b"S": EntryType.REGULAR,
    b"1": EntryType.HARDLINK,
    b"2": EntryType.SYMLINK,
    b"3": EntryType.CHAR,
    b"4": EntryType.BLOCK,
    b"5": EntryType.DIRECTORY,
    b"6": EntryType.FIFO,
}
_NO_RECORDS: dict[bytes, bytes] = {}
_MAX_ID = 2**32 - 2
_MAJORS, _MINORS = 1 << 12, 1 << 20
_MAX_NS = 2**63 - 1
_PIECE_SIZE = 64


class Member:
    """An entry and its data, valid until the next member is asked for."""

    __slots__ = ("_source", "end", "entry")

    def __init__(self, entry: Entry, source: TarSource, end: int) -> None:
        self.entry = entry
        self._source = source
        self.end = end
        """Where its data ends in the stream, in bytes."""

    @property
    def data(self) -> MemberData:
        """Return the bytes that the archive stores for this member: for a sparse file its pieces, one after the other.

        It reads on from where an earlier reader of the same member stopped.
        """
        return MemberData(self._source, self.end, self.entry.path)

    def whole(self, most: int) -> bytes | None:
        """Return all stored bytes if they are not more than `most`, else None. Raise as `data` does."""
        left = self.end - self._source.offset
        if left > most:
            return None
        data = self._source.upto(left)
        if len(data) < left:
            raise _cut_short(self.entry.path, self._source.offset)
        return data


class MemberData(PieceReader):
    """The stored bytes of one member as a file object; at its end after the next member has been asked for.

    Reading raises InvalidInput when the archive ends before the member does.
    """

    def __init__(self, source: TarSource, end: int, path: str) -> None:
        self._source = source
        self._end = end
        self._path = path

    def read(self, size: int = -1) -> bytes:
        left = max(self._end - self._source.offset, 0)
        if size < 0:
            return self._source.exactly(left)
        length = min(size, left)
        piece = self._source.piece(length) if length else b""
        if length and not piece:
            raise _cut_short(self._path, self._source.offset)
        return piece

    def readall(self) -> bytes:
        return self.read()


def read_tar(stream: Readable, limits: Limits | None = None) -> Iterator[Member]:
    """Yield the members of the plain tar in `stream`, in order; memory stays bounded whatever it holds.

    The stream is read in large pieces, so after the last member some bytes behind the archive may have been taken.
    Raise InvalidInput for what is no tar or leads outside its root, TooLarge when it passes a limit.
    """
    limits = limits or Limits()
    source = TarSource(stream, limits.expanded_size)
    metadata = 0
    for count, member in enumerate(_members(source, limits), 1):
        if count > limits.entries:
            raise TooLarge(f"the archive has more than {limits.entries} members", limit=limits.entries)
        metadata += _metadata_size(member.entry)
        if metadata > limits.metadata_size:
            raise TooLarge(
                f"the archive's paths, links and attributes have more than {limits.metadata_size} bytes",
                limit=limits.metadata_size,
            )
        yield member


def _metadata_size(entry: Entry) -> int:
    """Return how many bytes of names and attributes an entry has, as Limits.metadata_size counts them."""
    size = len(entry.path) + len(entry.target)
    if entry.xattrs:
        size += sum(len(name) + len(value) for name, value in entry.xattrs.items())
    return size + _PIECE_SIZE * len(entry.sparse) if entry.sparse else size


def _members(source: TarSource, limits: Limits) -> Iterator[Member]:
    extended = _Extended()
    while (block := _next_block(source)) is not None:
        offset = source.offset - BLOCK
        header = parse_header(block, offset)
        if header.kind in b"xXgLK":
            extended.read(header, source, limits)
            continue
        try:
            member = _member(header, block, extended, source, limits)
        except ValueError as error:
            raise InvalidInput(f"the member at byte {offset} holds {error}", offset=offset) from error
        extended = _Extended()
        yield member
        _pass_over(member, source)


def _next_block(source: TarSource) -> bytes | None:
    """Return the next header block; None at the end of the archive."""
    block = source.upto(BLOCK)
    if not block:
        return None
    if block == ZERO_BLOCK:
        second = source.upto(BLOCK)
        if second and second != ZERO_BLOCK:
            raise InvalidInput(f"the archive goes on after a block of zeros at byte {source.offset}")
        return None
    if len(block) < BLOCK:
        raise InvalidInput(f"the archive ends in the middle of a header, at byte {source.offset}", offset=source.offset)
    return block


def _pass_over(member: Member, source: TarSource) -> None:
    end = member.end
    if source.skip(end - source.offset if end > source.offset else 0):
        raise _cut_short(member.entry.path, source.offset)
    source.skip(-end % BLOCK)


def _cut_short(path: str, offset: int) -> InvalidInput:
    return InvalidInput(f"the archive ends at byte {offset}, in the middle of {path!r}", path=path, offset=offset)


class _Extended:
    """What extended headers said about the member that follows them."""

    __slots__ = ("link", "name", "records")

    def __init__(self) -> None:
        self.records = _NO_RECORDS
        self.name = b""
        self.link = b""

    def read(self, header: Header, source: TarSource, limits: Limits) -> None:
        """Take in the extended header whose data comes next in `source`."""
        if not 0 <= header.size <= limits.header_size:
            raise TooLarge(f"an extended header has more than {limits.header_size} bytes", limit=limits.header_size)
        offset = source.offset
        data = source.exactly(header.size)
        source.skip(-header.size % BLOCK)
        if header.kind == b"L":
            self.name = data.split(b"\0", 1)[0]
        elif header.kind == b"K":
            self.link = data.split(b"\0", 1)[0]
        elif header.kind != b"g":
            self.records = pax.parse_records(data, offset)


def _member(header: Header, block: bytes, extended: _Extended, source: TarSource, limits: Limits) -> Member:
    records = extended.records
    name = extended.name or records.get(b"GNU.sparse.name") or records.get(b"path") or header.name
    link = extended.link or records.get(b"linkpath") or header.link
    kind = _TYPES.get(header.kind)
    if kind is None:
        raise ValueError(f"the unknown type {header.kind!r}")
    if header.kind == b"\0" and name.endswith(b"/"):
        kind = EntryType.DIRECTORY
    size = stored = 0
    pieces: sparse.Pieces | None = None
    if kind is EntryType.REGULAR:
        size, stored, pieces = _extent(header, block, records, source, limits)
    start = source.offset
    entry = Entry(
        _path(name, limits),
        kind,
        header.mode & 0o7777,
        _identity(records.get(b"uid"), header.uid),
        _identity(records.get(b"gid"), header.gid),
        size,
        _time(records.get(b"mtime"), header.mtime),
        _target(kind, link, limits),
        *(_device(header) if kind.is_device else (0, 0)),
        pax.xattrs_of(records) if records else {},
        _text(records.get(b"uname") or header.uname),
        _text(records.get(b"gname") or header.gname),
        pieces,
        start if size else -1,
    )
    return Member(entry, source, start + stored)


def _extent(
    header: Header, block: bytes, records: dict[bytes, bytes], source: TarSource, limits: Limits
) -> tuple[int, int, sparse.Pieces | None]:
    """Return the file's size, the bytes that the archive holds of it from here on, and its pieces if it is sparse."""
    stored = pax.parse_integer(records[b"size"]) if records.get(b"size") else header.size
    if stored < 0:
        raise ValueError("a negative size")
    sparse_map = None
    if header.kind == b"S":
        sparse_map = sparse.old_gnu(block, source, limits)
    elif records:
        sparse_map = sparse.pax(records, stored, source, limits)
    size = sparse_map.size if sparse_map else stored
    if not 0 <= size <= limits.file_size:
        raise TooLarge(f"a file is larger than {limits.file_size} bytes", limit=limits.file_size)
    if sparse_map is None:
        return size, stored, None
    stored -= sparse_map.map_bytes
    return size, stored, sparse.normalise(sparse_map.pieces, size, stored)


def _path(raw: bytes, limits: Limits) -> str:
    if len(raw) > limits.name_length:
        longest = max(len(part) for part in raw.split(b"/"))
        if len(raw) > limits.path_length or longest > limits.name_length:
            raise TooLarge(
                f"a path is longer than {limits.path_length} bytes, or a name in it than {limits.name_length}",
                path=_text(raw[: limits.name_length]),
            )
    return clean_path(_text(raw))


def _target(kind: EntryType, link: bytes, limits: Limits) -> str:
    if kind is EntryType.HARDLINK:
        return _path(link, limits)
    if kind is not EntryType.SYMLINK:
        return ""
    if not link or len(link) > limits.path_length:
        raise ValueError("a symbolic link with an empty or too long target")
    return _text(link)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _identity(record: bytes | None, fallback: int) -> int:
    value = pax.parse_integer(record) if record else fallback
    if not 0 <= value <= _MAX_ID:
        raise ValueError(f"the user or group id {value}")
    return value


def _device(header: Header) -> tuple[int, int]:
    """Return the device numbers. Raise ValueError for those that Linux does not have (MINORBITS in linux/kdev_t.h).

    A number that is cut short could become 0:0, which is overlayfs's whiteout.
    """
    if not (0 <= header.major < _MAJORS and 0 <= header.minor < _MINORS):
        raise ValueError(f"the device number {header.major}:{header.minor}")
    return header.major, header.minor


def _time(record: bytes | None, seconds: int) -> int:
    mtime_ns = pax.parse_time(record) if record else seconds * pax.NANO
    return mtime_ns if -_MAX_NS <= mtime_ns <= _MAX_NS else 0
