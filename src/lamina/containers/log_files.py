"""The files of a container's log: in the order they were written, and places in them, by line and by time.

The times of messages increase from one to the next (see `runtime.monitor.log_file`), so a file is known by the time of
its first message, whatever its name is by now, and a place in it is found by halving.
"""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import msgspec

from lamina.formats.times import parse_time
from lamina.runtime.monitor.log_file import COMPRESSED

_BLOCK = 1 << 16  # bytes of a log that are looked at at a time, from the end


class Line(msgspec.Struct):
    """A line of the json-file format."""

    log: str = ""
    stream: str = "stdout"
    time: str = ""
    attrs: dict[str, str] = {}


_DECODER = msgspec.json.Decoder(Line)


def decode(raw: bytes) -> Line | None:
    """Return a line's message, None for one that cannot be read."""
    try:
        return _DECODER.decode(raw)
    except msgspec.DecodeError:
        return None


def time_of(raw: bytes) -> int:
    """Return a line's time in nanoseconds since the epoch, 0 for one that cannot be read."""
    line = decode(raw)
    try:
        return moment(line.time) if line is not None else 0
    except ValueError:
        return 0


def moment(text: str) -> int:
    """Return a line's time in nanoseconds since the epoch. Raise ValueError.

    Many lines are of one second, which is read once.
    """
    if text[19:20] == "." and text[-1:] == "Z" and 0 < len(text) - 21 < 10:
        return _second(text[:19]) + int(text[20:-1].ljust(9, "0"))
    return parse_time(text)


@lru_cache(16)
def _second(text: str) -> int:
    return parse_time(f"{text}Z")


def open_log(path: Path) -> BinaryIO | None:
    """Open a log's file, None where there is none."""
    try:
        return open(path, "rb")
    except FileNotFoundError:
        return None


def open_rotated(path: Path) -> BinaryIO | None:
    """Open a rotated file, whose compressed form is unpacked on the disk; None where there is neither."""
    plain = open_log(path)
    if plain is not None:
        return plain
    packed = open_log(Path(f"{path}{COMPRESSED}"))
    if packed is None:
        return None
    with packed, gzip.GzipFile(fileobj=packed) as reading, ExitStack() as opened:
        unpacked = opened.enter_context(tempfile.TemporaryFile(dir=path.parent))
        with suppress(OSError, EOFError):  # what is damaged ends there
            shutil.copyfileobj(reading, unpacked)
        unpacked.seek(0)
        opened.pop_all()  # the caller closes it
    return unpacked


def rotated(path: Path) -> Iterator[BinaryIO]:
    """Open the rotated files of the log at `path`, newest first; each once, even if all move on by one meanwhile.

    The caller closes them.
    """
    first_times = set()
    names = (p.name.removeprefix(f"{path.name}.").removesuffix(COMPRESSED) for p in path.parent.glob(f"{path.name}.*"))
    for number in sorted({int(name) for name in names if name.isdecimal()}):
        file = open_rotated(Path(f"{path}.{number}"))
        if file is None:
            continue
        begin = first_time(file)
        if begin in first_times:
            file.close()
            continue
        first_times.add(begin)
        yield file


def first_time(file: BinaryIO) -> int:
    """Return the time of a file's first message, 0 while it has none. The place in the file stays."""
    place = file.tell()
    file.seek(0)
    line = file.readline()
    file.seek(place)
    return time_of(line) if line.endswith(b"\n") else 0


def whole_lines(file: BinaryIO, end: int | None = None) -> Iterator[bytes]:
    """Yield lines up to the end, or the first that begins at `end` or behind it; a half-written one is left for
    later."""
    position = file.tell()
    while end is None or position < end:
        line = file.readline()
        if not line.endswith(b"\n"):
            file.seek(position)
            return
        position += len(line)
        yield line


def begin_after(file: BinaryIO, time: int) -> None:
    """Seek to the first line that is later than `time`, in nanoseconds since the epoch."""
    low, high = 0, os.fstat(file.fileno()).st_size  # no line before `low` is later; all that begin from `high` on are
    while high - low > _BLOCK:
        middle = (low + high) // 2
        file.seek(middle)
        file.readline()
        start = file.tell()
        line = file.readline() if start < high else b""
        if not line.endswith(b"\n") or time_of(line) > time:
            high = middle
        else:
            low = file.tell()
    file.seek(low)
    for line in whole_lines(file):
        if time_of(line) > time:
            file.seek(low)
            return
        low += len(line)


def begin_last(file: BinaryIO, count: int) -> int:
    """Seek to where the last `count` whole lines of an unbuffered or unread file begin; return how many there are.

    A half-written line at the end is not counted, and is read behind the others.
    """
    start, ends = _find(file.fileno(), count)
    file.seek(start)
    return ends


def _find(fd: int, count: int) -> tuple[int, int]:
    position, lines = os.fstat(fd).st_size, 0
    while position > 0:
        start = max(0, position - _BLOCK)
        block = os.pread(fd, position - start, start)
        ends = block.count(b"\n")
        if lines + ends > count:
            return start + _behind_end(block, count + 1 - lines), count
        lines += ends
        position = start
    return 0, lines


def _behind_end(block: bytes, number: int) -> int:
    """Return where the line after the `number`-th last line end begins."""
    position = len(block)
    for _ in range(number):
        position = block.rfind(b"\n", 0, position)
    return position + 1
