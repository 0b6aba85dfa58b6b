"""Compressed streams out and in, of every kind, whole, cut and hostile."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import random
import shutil
import subprocess
from collections.abc import Callable

import pytest
import zstandard

from lamina.errors import InvalidInput, TooLarge
from lamina.layers.compression import Compression, compressor, detect
from lamina.layers.decompress import decompressed
from support.programs import need

PLAIN = random.Random(7).randbytes(300_000) + bytes(3_000_000) + b"the end"
SKIPPABLE = b"\x5a\x2a\x4d\x18\x05\0\0\0extra"


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


COMPRESS: dict[Compression, Callable[[bytes], bytes]] = {
    Compression.GZIP: gzip.compress,
    Compression.ZSTD: zstd,
    Compression.BZIP2: bz2.compress,
    Compression.XZ: lzma.compress,
    Compression.NONE: bytes,
}
REAL = [kind for kind in Compression if kind is not Compression.NONE]


@pytest.mark.parametrize("kind", Compression)
def test_streams_are_recognised_and_expanded(kind: Compression) -> None:
    stream = decompressed(io.BytesIO(COMPRESS[kind](PLAIN)))
    assert stream.kind is kind
    assert stream.read() == PLAIN
    assert stream.read(10) == b""


class OneByte(io.BytesIO):
    """Gives a byte at a time, as a slow pipe may."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(1, size or 0))


@pytest.mark.parametrize("kind", Compression)
def test_the_cut_of_the_input_does_not_matter(kind: Compression) -> None:
    short = PLAIN[:500] + PLAIN[-500:]
    assert decompressed(OneByte(COMPRESS[kind](short))).read() == short
    stream = decompressed(io.BytesIO(COMPRESS[kind](short)))
    assert b"".join(iter(lambda: stream.read(7), b"")) == short
    into = bytearray(10)
    assert decompressed(io.BytesIO(COMPRESS[kind](short))).readinto(into) in range(1, 11)


@pytest.mark.parametrize("kind", REAL)
def test_several_streams_in_a_row_are_one(kind: Compression) -> None:
    make = COMPRESS[kind]
    assert decompressed(io.BytesIO(make(b"one ") + make(b"") + make(b"two"))).read() == b"one two"


def test_padding_and_skippable_frames_hold_nothing() -> None:
    assert decompressed(io.BytesIO(gzip.compress(b"x") + bytes(1000))).read() == b"x"
    assert decompressed(io.BytesIO(lzma.compress(b"x") + bytes(8) + lzma.compress(b"y"))).read() == b"xy"
    stream = decompressed(io.BytesIO(SKIPPABLE + zstd(b"x") + SKIPPABLE + zstd(b"y") + SKIPPABLE))
    assert (stream.kind, stream.read()) == (Compression.ZSTD, b"xy")


@pytest.mark.parametrize("kind", REAL)
def test_damage_is_noticed(kind: Compression) -> None:
    whole = COMPRESS[kind](PLAIN)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0x55
    for broken in (whole[:-1], whole[: len(whole) // 2], whole + b"garbage", bytes(flipped), whole[:7]):
        with pytest.raises(InvalidInput):
            decompressed(io.BytesIO(broken)).read()


@pytest.mark.parametrize("single_segment", [True, False])
@pytest.mark.parametrize("checksum", [True, False])
def test_a_cut_anywhere_in_a_zstd_frame_is_noticed(single_segment: bool, checksum: bool) -> None:
    data = random.Random(1).randbytes(300) * 3
    maker = zstandard.ZstdCompressor(write_checksum=checksum, write_content_size=single_segment)
    whole = maker.compress(data) + SKIPPABLE
    assert decompressed(io.BytesIO(whole)).read() == data
    for cut in (*range(7, len(whole) - len(SKIPPABLE)), len(whole) - 1):
        with pytest.raises(InvalidInput):
            decompressed(io.BytesIO(whole[:cut])).read()


@pytest.mark.parametrize("kind", Compression)
def test_a_bomb_is_stopped_without_being_expanded(kind: Compression) -> None:
    bomb = COMPRESS[kind](bytes(50_000_000))
    stream = decompressed(io.BytesIO(bomb), limit=2_000_000)
    with pytest.raises(TooLarge):
        shutil.copyfileobj(stream, io.BytesIO(), 1 << 16)


def test_short_and_empty_streams_are_plain() -> None:
    assert [decompressed(io.BytesIO(data)).read() for data in (b"", b"a", b"\x1f\x8b")] == [b"", b"a", b"\x1f\x8b"]
    assert detect(b"") is Compression.NONE


@pytest.mark.parametrize("kind", Compression)
@pytest.mark.parametrize("size", [0, 1, 1 << 20, len(PLAIN)])
def test_compressing_gives_the_same_bytes_however_it_is_written(kind: Compression, size: int) -> None:
    data = PLAIN[-size:] if size else b""
    made = []
    for step in (max(size, 1), 250_001):
        out = io.BytesIO()
        with compressor(kind, out) as file:
            for at in range(0, size, step):
                assert file.write(data[at : at + step]) == len(data[at : at + step])
        made.append(out.getvalue())
    assert made[0] == made[1]
    assert decompressed(io.BytesIO(made[0])).read() == data


@pytest.mark.parametrize("kind", [Compression.GZIP, Compression.ZSTD])
def test_the_number_of_processors_does_not_show(kind: Compression, monkeypatch: pytest.MonkeyPatch) -> None:
    made = set()
    for processors in (1, 2, 7, None):
        monkeypatch.setattr(os, "cpu_count", lambda number=processors: number)
        out = io.BytesIO()
        with compressor(kind, out) as file:
            file.write(PLAIN * 4)
        made.add(out.getvalue())
    assert len(made) == 1


@pytest.mark.parametrize("program", ["gzip", "pigz", "zstd"])
def test_other_programs_expand_it(program: str) -> None:
    out = io.BytesIO()
    with compressor(Compression.ZSTD if program == "zstd" else Compression.GZIP, out) as file:
        file.write(PLAIN)
    assert subprocess.run([need(program), "-dc"], input=out.getvalue(), capture_output=True, check=True).stdout == PLAIN


@pytest.mark.parametrize(("kind", "level"), [(Compression.GZIP, 9), (Compression.ZSTD, 0), (Compression.NONE, 1)])
def test_levels_that_do_not_exist_are_refused(kind: Compression, level: int) -> None:
    with pytest.raises(InvalidInput):
        compressor(kind, io.BytesIO(), level)


def test_levels_count() -> None:
    sizes = []
    for level in (0, 3):
        out = io.BytesIO()
        with compressor(Compression.GZIP, out, level) as file:
            file.write(os.path.abspath(__file__).encode() * 9999)
        sizes.append(len(out.getvalue()))
    assert sizes[0] != sizes[1]


def test_closing_twice_is_fine_and_writing_afterwards_is_not() -> None:
    out = io.BytesIO()
    file = compressor(Compression.GZIP, out)
    file.write(b"x")
    file.close()
    file.close()
    assert gzip.decompress(out.getvalue()) == b"x"
    with pytest.raises(InvalidInput):
        file.write(b"y")


def test_an_exception_ends_a_compressed_stream_without_its_end() -> None:
    out = io.BytesIO()
    with contextlib.suppress(KeyError), compressor(Compression.GZIP, out) as file:
        file.write(PLAIN * 2)
        raise KeyError
    with pytest.raises(InvalidInput):
        decompressed(io.BytesIO(out.getvalue() or b"\x1f\x8b\x08\0\0\0")).read()
