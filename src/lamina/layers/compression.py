"""The compressions of layers: told apart by content, as no name or media type is believed, and made deterministically.

The same bytes in give the same bytes out, on any number of processors.
"""

from __future__ import annotations

import bz2
import enum
import lzma
import os
import struct
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Protocol

import zstandard
from isal import isal_zlib

from lamina.errors import InvalidInput
from lamina.layers.tar.writer import Writable


class Compression(enum.Enum):
    """How a stream is compressed; the value is the name that messages and options use."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"
    BZIP2 = "bzip2"
    XZ = "xz"


_MAGIC = (
    (b"\x1f\x8b\x08", Compression.GZIP),
    (b"\x28\xb5\x2f\xfd", Compression.ZSTD),
    (b"BZh", Compression.BZIP2),
    (b"\xfd7zXZ\x00", Compression.XZ),
)


def detect(head: bytes) -> Compression:
    """Return what the first bytes of a stream (six suffice) say about its compression."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if len(head) >= 4 and head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50:
        return Compression.ZSTD
    return Compression.NONE


_BLOCK = 1 << 20
_GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
_RAW_DEFLATE = -15


_LEVELS = {
    Compression.NONE: range(1),
    Compression.GZIP: range(4),
    Compression.ZSTD: range(1, 23),
    Compression.BZIP2: range(1, 10),
    Compression.XZ: range(10),
}
_DEFAULT_LEVEL = {
    Compression.NONE: 0,
    Compression.GZIP: 2,
    Compression.ZSTD: 3,
    Compression.BZIP2: 9,
    Compression.XZ: 6,
}


class _Encoder(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class Compressor:
    """A file object to write plain bytes to; compressed ones go to its sink.

    `close` writes the end of the stream and leaves the sink open; a second call does nothing. As a context manager it
    closes when the block ends well, and only lets go of its threads when it ends in an exception.
    """

    def __init__(self, encoder: _Encoder, sink: Writable) -> None:
        self._encoder: _Encoder | None = encoder
        self._sink = sink

    def write(self, data: bytes, /) -> int:
        """Compress all of `data` and return its length. Raise InvalidInput after `close`."""
        if self._encoder is None:
            raise InvalidInput("this compressed stream is closed")
        if piece := self._encoder.compress(data):
            self._sink.write(piece)
        return len(data)

    def close(self) -> None:
        if self._encoder is not None:
            encoder, self._encoder = self._encoder, None
            self._sink.write(encoder.flush())

    def __enter__(self) -> Compressor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif self._encoder is not None:
            encoder, self._encoder = self._encoder, None
            if isinstance(encoder, _Gzip):
                encoder.stop()


def compressor(kind: Compression, sink: Writable, level: int | None = None) -> Compressor:
    """Return a Compressor into `sink`. `level` None takes the default: gzip 2 of 0-3 (isal's), zstd 3, bzip2 9, xz 6.

    The output depends on the input's bytes, `kind` and `level`, and on nothing else: not on how the input is cut into
    writes, on time, or on the number of processors. Raise InvalidInput for a level that `kind` does not have.
    """
    chosen = _DEFAULT_LEVEL[kind] if level is None else level
    if chosen not in _LEVELS[kind]:
        raise InvalidInput(f"{kind.value} has no compression level {chosen}", level=chosen)
    if kind is Compression.GZIP:
        return Compressor(_Gzip(chosen), sink)
    if kind is Compression.ZSTD:
        # With worker threads the output does not depend on how many; without any it would be another one.
        workers = max(1, os.cpu_count() or 1)
        return Compressor(zstandard.ZstdCompressor(level=chosen, threads=workers).compressobj(), sink)
    if kind is Compression.BZIP2:
        return Compressor(bz2.BZ2Compressor(chosen), sink)
    if kind is Compression.XZ:
        return Compressor(lzma.LZMACompressor(preset=chosen), sink)
    return Compressor(_Plain(), sink)


class _Plain:
    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


class _Gzip:
    """One gzip member made of blocks that are deflated independently, in threads, and joined at byte boundaries."""

    def __init__(self, level: int) -> None:
        self._level = level
        self._workers = max(1, os.cpu_count() or 1)
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: deque[Future[bytes]] = deque()
        self._pending = bytearray()
        self._head = _GZIP_HEADER
        self._crc = 0
        self._size = 0

    def compress(self, data: bytes, /) -> bytes:
        self._crc = isal_zlib.crc32(data, self._crc)
        self._size += len(data)
        self._pending += data
        if len(self._pending) < _BLOCK:
            return b""
        view = bytes(self._pending)
        whole = len(view) - len(view) % _BLOCK
        self._pending = bytearray(view[whole:])
        return b"".join(self._submit(view[at : at + _BLOCK]) for at in range(0, whole, _BLOCK))

    def _submit(self, block: bytes) -> bytes:
        """Start compressing a block. Return the finished blocks at the front; a few may be under way."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._workers, "compress")
        self._waiting.append(self._pool.submit(_deflate, block, self._level, isal_zlib.Z_SYNC_FLUSH))
        done, self._head = [self._head], b""
        while self._waiting and (len(self._waiting) > 2 * self._workers or self._waiting[0].done()):
            done.append(self._waiting.popleft().result())
        return b"".join(done)

    def flush(self) -> bytes:
        done = [self._head, *(future.result() for future in self._waiting)]
        self.stop()
        done.append(_deflate(bytes(self._pending), self._level, isal_zlib.Z_FINISH))
        done.append(struct.pack("<II", self._crc, self._size & 0xFFFFFFFF))
        return b"".join(done)

    def stop(self) -> None:
        self._waiting.clear()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def _deflate(block: bytes, level: int, end: int) -> bytes:
    encoder = isal_zlib.compressobj(level, wbits=_RAW_DEFLATE)
    return encoder.compress(block) + encoder.flush(end)
