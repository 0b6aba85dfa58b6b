"""Expanding compressed layers, within bounds.

gzip (several members, as pigz and eStargz write), zstd (several and skippable frames, as zstd:chunked writes), bzip2
and xz (several streams). Nothing here believes a file name or media type.
"""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Protocol, cast

import zstandard
from isal import igzip_lib

from lamina.errors import InvalidInput, TooLarge
from lamina.layers.compression import Compression, detect
from lamina.layers.limits import Limits
from lamina.layers.tar.source import PieceReader, Prefixed, Readable

if TYPE_CHECKING:
    pass

_INPUT = 256 * 1024
_OUTPUT = 1 << 20
_XZ_MEMORY = 256 << 20  # bytes; xz -9 makes what needs 65 MiB
_ERRORS: tuple[type[Exception], ...] = (
    OSError,
    EOFError,
    lzma.LZMAError,
    zstandard.ZstdError,
    cast(type[Exception], igzip_lib.IsalError),
)


def decompressed(stream: Readable, limit: int | None = None) -> Decompressed:
    """Return the plain bytes of `stream`, whatever it is compressed with, as a file object.

    `limit` bounds the plain bytes (Limits.expanded_size by default). Reading raises TooLarge beyond it, and
    InvalidInput for damaged, cut-off or trailing bytes. Closing it leaves `stream` open.
    """
    head = b""
    while len(head) < 6 and (piece := stream.read(_INPUT)):
        head += piece
    kind = detect(head)
    bound = Limits().expanded_size if limit is None else limit
    return Decompressed(_PIECES[kind](Prefixed(head, stream)), kind, bound)


class Decompressed(PieceReader):
    """A stream of plain bytes; `kind` tells how its source was compressed."""

    def __init__(self, next_piece: Callable[[int], bytes], kind: Compression, limit: int) -> None:
        self.kind = kind
        self._next_piece = next_piece
        self._left = limit
        self._limit = limit

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            return self.readall()
        try:
            piece = self._next_piece(size) if size else b""
        except _ERRORS as error:
            raise InvalidInput(f"the {self.kind.value} data is damaged: {error}", compression=self.kind) from error
        self._left -= len(piece)
        if self._left < 0:
            raise TooLarge(f"the archive expands to more than {self._limit} bytes", limit=self._limit)
        return piece

    def readall(self) -> bytes:
        return b"".join(iter(lambda: self.read(_OUTPUT), b""))


class _Decoder(Protocol):
    """The shape that bz2, lzma and isal share."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Sequence:
    """One compressed stream after the other, each by a decoder of its own; zeros between and behind are padding."""

    def __init__(self, source: Prefixed, decoder: Callable[[], _Decoder]) -> None:
        self._source = source
        self._make = decoder
        self._decoder = decoder()

    def __call__(self, size: int) -> bytes:
        while True:
            data = b""
            if self._decoder.eof:
                data = self._following()
                if not data:
                    return b""
                self._decoder = self._make()
            elif self._decoder.needs_input:
                data = self._source.read(_INPUT)
                if not data:
                    raise EOFError("it ends too early")
            if piece := self._decoder.decompress(data, size):
                return piece

    def _following(self) -> bytes:
        rest = self._decoder.unused_data.lstrip(b"\0")
        while not rest and (more := self._source.read(_INPUT)):
            rest = more.lstrip(b"\0")
        return rest


class _Zstd:
    """The zstd frames of a stream; the walker notices when the last one is cut off, which the library does not."""

    def __init__(self, source: Prefixed) -> None:
        self._source = source
        self._walker = FrameWalker()
        self._reader = zstandard.ZstdDecompressor().stream_reader(
            cast(IO[bytes], self), read_size=_INPUT, read_across_frames=True
        )

    def read(self, size: int) -> bytes:
        piece = self._source.read(size)
        self._walker.feed(piece)
        return piece

    def __call__(self, size: int) -> bytes:
        piece = self._reader.read(size)
        if not piece and not self._walker.at_end_of_frame:
            raise EOFError("it ends too early")
        return piece


def _plain(source: Prefixed) -> Callable[[int], bytes]:
    return source.read


def _gzip(source: Prefixed) -> Callable[[int], bytes]:
    return _Sequence(source, lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP))


def _bzip2(source: Prefixed) -> Callable[[int], bytes]:
    return _Sequence(source, bz2.BZ2Decompressor)


def _xz(source: Prefixed) -> Callable[[int], bytes]:
    return _Sequence(source, lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY))


_PIECES: dict[Compression, Callable[[Prefixed], Callable[[int], bytes]]] = {
    Compression.NONE: _plain,
    Compression.GZIP: _gzip,
    Compression.ZSTD: _Zstd,
    Compression.BZIP2: _bzip2,
    Compression.XZ: _xz,
}


_MAGIC = b"\x28\xb5\x2f\xfd"
_DICTIONARY_ID = (0, 1, 2, 4)
_CONTENT_SIZE = (0, 2, 4, 8)
_RLE = 1


class FrameWalker:
    """Follows a stream of frames, block by block, as its bytes pass.

    It checks nothing but the outline: what is no frame makes `at_end_of_frame` False for good.
    """

    def __init__(self) -> None:
        self._pending = b""
        self._skip = 0
        self._step: Callable[[bytes], None] = self._magic
        self._needs = 4
        self._checksum = 0

    @property
    def at_end_of_frame(self) -> bool:
        """Return True when the bytes so far are whole frames."""
        return self._step == self._magic and not self._pending and not self._skip

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        position = 0
        while position < len(data):
            if self._skip:
                taken = min(self._skip, len(data) - position)
                self._skip -= taken
            else:
                taken = min(self._needs - len(self._pending), len(data) - position)
                self._pending += data[position : position + taken]
                if len(self._pending) == self._needs:
                    header, self._pending = self._pending, b""
                    self._step(header)
            position += taken

    def _await(self, step: Callable[[bytes], None], needs: int) -> None:
        self._step = step
        self._needs = needs

    def _magic(self, header: bytes) -> None:
        if header == _MAGIC:
            self._await(self._descriptor, 1)
        elif header[1:] == b"\x2a\x4d\x18" and header[0] & 0xF0 == 0x50:
            self._await(self._skippable, 4)
        else:
            self._await(self._lost, 1)

    def _lost(self, header: bytes) -> None:
        pass

    def _skippable(self, header: bytes) -> None:
        self._skip = int.from_bytes(header, "little")
        self._await(self._magic, 4)

    def _descriptor(self, header: bytes) -> None:
        flags = header[0]
        single_segment = flags >> 5 & 1
        content_size = _CONTENT_SIZE[flags >> 6] or single_segment
        self._checksum = 4 * (flags >> 2 & 1)
        self._skip = (1 - single_segment) + _DICTIONARY_ID[flags & 3] + content_size
        self._await(self._block, 3)

    def _block(self, header: bytes) -> None:
        value = int.from_bytes(header, "little")
        last, kind, size = value & 1, value >> 1 & 3, value >> 3
        self._skip = 1 if kind == _RLE else size
        if last:
            self._skip += self._checksum
            self._await(self._magic, 4)
