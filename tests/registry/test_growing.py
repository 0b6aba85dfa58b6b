"""Uploads in files: whatever the sizes of chunks and pieces, the bytes and the hash are right."""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import mmap
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

import pytest

from lamina.formats.digest import Digest
from lamina.registry.storage.files import write_block
from lamina.registry.storage.local import LocalStorage
from support.waiting import eventually

MIB = 1 << 20
CONTENT = random.Random(3).randbytes(9 * MIB + 77)


async def pieces(content: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.mark.parametrize("forget", [False, True], ids=["one process", "another process each time"])
@pytest.mark.parametrize(
    "ends",
    [
        (len(CONTENT),),
        (1, len(CONTENT)),
        (2 * MIB - 1, 2 * MIB, 2 * MIB + 1, 4 * MIB, len(CONTENT)),
        (100_000, 6 * MIB + 4096, len(CONTENT) - 1, len(CONTENT)),
    ],
)
def test_chunks_at_any_offset(tmp_path: Path, forget: bool, ends: tuple[int, ...]) -> None:
    async def push() -> bytes:
        storage = LocalStorage(tmp_path)
        upload = await storage.create("a", "sha256")
        sizes = itertools.cycle((300_001, 65_536, 3 * MIB, 70_000))
        for start, end in itertools.pairwise((0, *ends)):
            if forget:
                await storage.close()
                storage = LocalStorage(tmp_path)
            assert await storage.append("a", upload, start, pieces(CONTENT[start:end], next(sizes))) == end
        placed = await storage.finish("a", upload, Digest.of(CONTENT))
        read = [piece async for piece in storage.stream(placed.location, 0, placed.size)]
        await storage.close()
        return b"".join(read)

    assert asyncio.run(push()) == CONTENT


def test_what_cannot_be_written_directly_is_written_all_the_same(tmp_path: Path) -> None:
    crooked = memoryview(bytearray(CONTENT))[1:100_000]
    with (tmp_path / "file").open("w+b", buffering=0) as file:
        write_block(file.fileno(), crooked, 0)
        write_block(file.fileno(), crooked, 99_999)
        assert file.read() == bytes(crooked) * 2


def test_what_was_pushed_is_in_the_page_cache_soon(tmp_path: Path) -> None:
    async def push() -> Path:
        storage = LocalStorage(tmp_path)
        upload = await storage.create("a", "sha256")
        await storage.append("a", upload, 0, pieces(CONTENT, MIB))
        placed = await storage.finish("a", upload, Digest.of(CONTENT))
        path = storage.file(placed.location)
        assert path is not None
        with path.open("rb") as file:
            eventually(lambda: cached(file))
        await storage.close()
        return path

    assert asyncio.run(push()).stat().st_size == len(CONTENT)


def cached(file: BinaryIO) -> bool:
    """Whether all of the file is in memory (mincore(2)); asking reads nothing."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
        pages = (ctypes.c_ubyte * (-(-len(mapped) // mmap.PAGESIZE)))()
        view = (ctypes.c_char * len(mapped)).from_buffer(mapped)
        assert ctypes.CDLL(None).mincore(view, ctypes.c_size_t(len(mapped)), pages) == 0
        del view
        return all(page & 1 for page in pages)
