"""Uploads in files: whatever the sizes of chunks and pieces, the bytes and the hash are right."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lamina.distribution.server.storage.files import write_block
from lamina.distribution.server.storage.local import LocalStorage
from lamina.formats.digest import Digest

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
