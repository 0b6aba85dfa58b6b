"""The list of files that eStargz and zstd:chunked layers bring along, read by two small range requests.

Rules: containerd/stargz-snapshotter, docs/estargz.md; containers/storage, pkg/chunked/internal/minimal. Both name the
digest of the list in the manifest, so it is as trustworthy as the manifest. Nobody has seen whether the list tells the
truth about the layer: that takes the whole layer.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import msgspec

from lamina.errors import Corrupt, InvalidInput, LaminaError, TooLarge
from lamina.formats.descriptor import Descriptor
from lamina.formats.digest import Digest
from lamina.formats.times import parse_time
from lamina.layers.decompress import decompressed
from lamina.layers.entry import Entry, EntryType, clean_path
from lamina.layers.limits import Limits
from lamina.layers.tar.reader import read_tar

_STARGZ_DIGEST = "containerd.io/snapshot/stargz/toc.digest"
_CHUNKED = ("io.github.containers.zstd-chunked.manifest-", "io.containers.zstd-chunked.manifest-")  # now, podman 4
_FOOTER = 51  # bytes: an empty gzip member with the offset of the list in its extra field
_STARGZ_NAME = "stargz.index.json"
_LARGEST = 256 << 20  # bytes of a list, expanded
_LARGEST_SENT = 64 << 20  # bytes of a list as it is sent
_LARGEST_CHUNK = 64 << 20  # bytes of a piece of a file
_BLOCK = 512
_TYPES = {
    "dir": EntryType.DIRECTORY,
    "reg": EntryType.REGULAR,
    "symlink": EntryType.SYMLINK,
    "hardlink": EntryType.HARDLINK,
    "char": EntryType.CHAR,
    "block": EntryType.BLOCK,
    "fifo": EntryType.FIFO,
}

ReadRange = Callable[[int, int], bytes]  # takes the first byte and the number of bytes


class _ListedEntry(msgspec.Struct, frozen=True, rename="camel"):
    type: str
    name: str
    link_name: str = ""
    mode: int = 0
    size: int = 0
    uid: int = 0
    gid: int = 0
    modtime: str = ""
    dev_major: int = 0
    dev_minor: int = 0
    xattrs: dict[str, bytes] | None = None
    digest: str = ""
    offset: int = 0
    end_offset: int = 0
    chunk_offset: int = 0
    chunk_size: int = 0
    chunk_digest: str = ""
    chunk_type: str = ""
    inner_offset: int = 0


class _List(msgspec.Struct, frozen=True):
    entries: list[_ListedEntry]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a file: `size` bytes of it from `start` on, compressed in the blob at `first` up to `end`.

    A chunk of zeros is not in the blob, and `first` is -1. `inner` bytes of what is expanded come before it.
    """

    start: int
    size: int
    first: int
    end: int
    digest: str
    inner: int = 0


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A member of the layer, with its place in a tar that nobody has: what tells the files of an index apart."""

    entry: Entry
    chunks: tuple[Chunk, ...] = ()


def has_list(blob: Descriptor) -> bool:
    """Return whether the manifest says that the layer has a list of its files."""
    return _STARGZ_DIGEST in blob.annotations or bool(_chunked(blob, "checksum"))


def list_name(blob: Descriptor) -> str:
    """Return what names the list: its digest."""
    return blob.annotations.get(_STARGZ_DIGEST) or _chunked(blob, "checksum")


def fetch_list(blob: Descriptor, read: ReadRange) -> bytes:
    """Return the list as JSON, verified. Raise Corrupt, InvalidInput, TooLarge, and what `read` raises."""
    if _STARGZ_DIGEST in blob.annotations:
        return _fetch_stargz(blob, read)
    match = re.fullmatch(r"(\d{1,18}):(\d{1,18}):(\d{1,18}):1", _chunked(blob, "position"))
    if match is None:
        raise InvalidInput(f"the layer {blob.digest} does not say where the list of its files is")
    first, length = int(match[1]), int(match[2])
    raw = read(first, _checked(blob, first, length))
    _verify(_chunked(blob, "checksum"), raw)
    return _expand(raw)


def _chunked(blob: Descriptor, what: str) -> str:
    """Return what the manifest says of a zstd:chunked layer's list, "" for another layer."""
    return next((text for prefix in _CHUNKED if (text := blob.annotations.get(prefix + what))), "")


def _fetch_stargz(blob: Descriptor, read: ReadRange) -> bytes:
    footer = read(_checked_start(blob), _FOOTER)
    match = re.search(rb"SG\x16\x00([0-9a-fA-F]{16})STARGZ", footer)
    if match is None:
        raise InvalidInput(f"the layer {blob.digest} does not end as an eStargz layer")
    first = int(match[1], 16)
    members = io.BytesIO(_expand(read(first, _checked(blob, first, blob.size - _FOOTER - first))))
    for member in read_tar(members, Limits(entries=16, expanded_size=_LARGEST)):
        if member.entry.path == _STARGZ_NAME:
            raw = member.data.read()
            _verify(blob.annotations[_STARGZ_DIGEST], raw)
            return raw
    raise InvalidInput(f"the layer {blob.digest} has no list of its files")


def _checked_start(blob: Descriptor) -> int:
    if blob.size <= _FOOTER:
        raise InvalidInput(f"the layer {blob.digest} is too short to have a list of its files")
    return blob.size - _FOOTER


def _checked(blob: Descriptor, first: int, length: int) -> int:
    if length <= 0 or first + length > blob.size:
        raise InvalidInput(f"the list of the files of {blob.digest} is outside of it")
    if length > _LARGEST_SENT:
        raise TooLarge(f"the list of the files of {blob.digest} has {length} bytes", limit=_LARGEST_SENT)
    return length


def _expand(raw: bytes) -> bytes:
    return decompressed(io.BytesIO(raw), _LARGEST).read()


def _verify(expected: str, raw: bytes) -> None:
    digest = Digest.parse(expected)
    if not digest.matches(raw):
        raise Corrupt(f"the list of a layer's files is not {digest}", expected=digest)


def listed_files(raw: bytes) -> Iterator[ListedFile]:
    """Yield the members that a list names. Raise InvalidInput for one that no layer can have, TooLarge."""
    try:
        entries = msgspec.json.decode(raw, type=_List).entries
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidInput(f"the list of a layer's files is damaged: {error}") from None
    if len(entries) > Limits().entries:
        raise TooLarge(f"a layer has more than {Limits().entries} files", limit=Limits().entries)
    ends = _ends(entries)
    offset = 0
    number = 0
    while number < len(entries):
        listed = entries[number]
        pieces = [number]
        while number + 1 < len(entries) and entries[number + 1].type == "chunk":
            number += 1
            pieces.append(number)
        number += 1
        kind = _TYPES.get(listed.type)
        if kind is None:
            raise InvalidInput(f"a layer lists a file of the unknown type {listed.type!r}")
        chunks = _chunks(entries, pieces, ends) if kind is EntryType.REGULAR and listed.size else ()
        yield ListedFile(_entry(listed, kind, offset if chunks else -1), chunks)
        if chunks:
            offset += -(-listed.size // _BLOCK) * _BLOCK
            Limits().check_expanded(offset)


def _ends(entries: list[_ListedEntry]) -> dict[int, int]:
    """Return where in the blob the piece that begins at an offset ends: where the next one begins."""
    starts = sorted({entry.offset for entry in entries if entry.offset > 0})
    return dict(pairwise(starts))


def _chunks(entries: list[_ListedEntry], pieces: list[int], ends: dict[int, int]) -> tuple[Chunk, ...]:
    file = entries[pieces[0]]
    chunks: list[Chunk] = []
    for number in pieces:
        piece = entries[number]
        start = piece.chunk_offset
        size = piece.chunk_size or file.size - start
        expected = chunks[-1].start + chunks[-1].size if chunks else 0
        if start != expected or not 0 < size <= file.size - start or size > _LARGEST_CHUNK:
            raise InvalidInput(f"the pieces of {file.name[:80]!r} do not fit together")
        digest = piece.chunk_digest or (file.digest if size == file.size else "")
        zeros = piece.chunk_type == "zeros"
        end = ends.get(piece.offset) or piece.end_offset or file.end_offset
        chunks.append(Chunk(start, size, -1 if zeros else piece.offset, end, digest, piece.inner_offset))
    if chunks[-1].start + chunks[-1].size != file.size:
        raise InvalidInput(f"the pieces of {file.name[:80]!r} are not all of it")
    return tuple(chunks)


def _entry(listed: _ListedEntry, kind: EntryType, data_offset: int) -> Entry:
    target = listed.link_name
    return Entry(
        clean_path(_within(listed.name)),
        kind,
        mode=listed.mode & 0o7777,
        uid=_id(listed.uid),
        gid=_id(listed.gid),
        size=_size(listed) if kind is EntryType.REGULAR else 0,
        mtime_ns=_time(listed.modtime),
        target=clean_path(_within(target)) if kind is EntryType.HARDLINK else _within(target),
        major=listed.dev_major & 0xFFF,
        minor=listed.dev_minor & 0xFFFFF,
        xattrs=listed.xattrs or {},
        data_offset=data_offset,
    )


def _within(text: str) -> str:
    if len(text.encode("utf-8", "surrogateescape")) > Limits().path_length:
        raise TooLarge(f"the path {text[:80]!r}… is longer than {Limits().path_length} bytes")
    return text


def _id(value: int) -> int:
    return value if 0 <= value < 2**32 - 1 else 0


def _size(listed: _ListedEntry) -> int:
    if not 0 <= listed.size <= Limits().file_size:
        raise TooLarge(f"{listed.name[:80]!r} has {listed.size} bytes", limit=Limits().file_size)
    return listed.size


def _time(text: str) -> int:
    try:
        return parse_time(text) if text else 0
    except ValueError:
        return 0


def expand_chunk(chunk: Chunk, raw: bytes) -> bytes:
    """Return the bytes of a chunk, verified. Raise Corrupt for other bytes than the list says."""
    try:
        data = _plain(raw, chunk.inner + chunk.size)[chunk.inner :]
    except (LaminaError, zlib.error, OSError, EOFError) as error:
        raise Corrupt(f"a piece of a layer is damaged: {error}") from None
    if not chunk.digest or len(data) != chunk.size or not Digest.parse(chunk.digest).matches(data):
        raise Corrupt(f"a piece of a layer is not {chunk.digest or 'named by a digest'}")
    return data


def _plain(raw: bytes, size: int) -> bytes:
    """Return the first `size` bytes that are compressed in `raw`, behind which other pieces may begin."""
    source: Any = decompressed(io.BytesIO(raw), max(size, 1) + _LARGEST_CHUNK)
    pieces, length = [], 0
    while length < size and (piece := source.read(size - length)):
        pieces.append(piece)
        length += len(piece)
    return b"".join(pieces)


def chunk_bounds(chunk: Chunk, blob: Descriptor) -> tuple[int, int]:
    """Return first byte and length of a chunk in the blob. Raise InvalidInput for one outside of it."""
    end = chunk.end or blob.size
    length = end - chunk.first
    if chunk.first < 0 or length <= 0 or end > blob.size or length > 2 * _LARGEST_CHUNK:
        raise InvalidInput(f"a piece of {blob.digest} is outside of it")
    return chunk.first, length
