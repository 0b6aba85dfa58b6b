"""Finding the last lines of logs: counted in blocks from the end, so that the start of a large one is never read."""

from __future__ import annotations

import os
from typing import BinaryIO

_BLOCK = 1 << 16  # bytes


def begin_last(file: BinaryIO, wanted: int) -> int:
    """Seeks to where the last `wanted` whole lines of an unbuffered or unread file begin; gives how many there are.

    A half-written line at the end is not counted, and is read behind the others.
    """
    start, found = _find(file.fileno(), wanted)
    file.seek(start)
    return found


def _find(fd: int, wanted: int) -> tuple[int, int]:
    at, seen = os.fstat(fd).st_size, 0
    while at > 0:
        start = max(0, at - _BLOCK)
        block = os.pread(fd, at - start, start)
        ends = block.count(b"\n")
        if seen + ends > wanted:
            return start + _behind_end(block, wanted + 1 - seen), wanted
        seen += ends
        at = start
    return 0, seen


def _behind_end(block: bytes, number: int) -> int:
    """Where the line after the `number`-th last line end begins."""
    at = len(block)
    for _ in range(number):
        at = block.rfind(b"\n", 0, at)
    return at + 1
