"""Reading logs: Docker's json-file, over its rotated files, from the end, and on as it grows."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from lamina.api.containers import LogConfig
from lamina.cancellation import NEVER, Cancellation
from lamina.errors import InvalidInput
from lamina.formats.sizes import parse_size
from lamina.formats.times import parse_time
from lamina.linux.inotify import Watch
from lamina.runtime.runtime import LogSpec
from lamina.types.run_results import LogRecord

IDLE = 0.5  # seconds between two looks at whether the container has ended

_BLOCK = 1 << 16  # bytes of a log that are looked at at a time, from the end
GLANCE = 0.2  # seconds between two looks at a log that cannot be watched


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What to read. Times in nanoseconds since the epoch, 0 for no bound; `tail` None for everything.

    The `tail` last lines are taken first, and of them what the other options let through, as dockerd does it.
    """

    stdout: bool = True
    stderr: bool = True
    follow: bool = False
    since: int = 0
    until: int = 0
    tail: int | None = None


class _Line(msgspec.Struct):
    log: str = ""
    stream: str = "stdout"
    time: str = ""


_DECODER = msgspec.json.Decoder(_Line)


def read(
    path: Path, options: LogOptions, running: Callable[[], bool], cancellation: Cancellation = NEVER
) -> Iterator[LogRecord]:
    """Yield the records of the log at `path`, oldest first; with `follow` also those to come, until the container ends.

    `running` says whether more may come. Lines that cannot be read are passed over. `cancellation` ends following, and
    so does the time `until`.
    """
    with ExitStack() as closing:
        watch = _watch(path.parent, closing) if options.follow else None
        current = _open(path)
        follower = _Follower(path, current, watch, running, options.until, cancellation)
        closing.callback(follower.close)
        yield from _selected(_present(path, current, options.tail), options)
        if not options.follow:
            return
        yield from _selected(follower.lines(), options)


def _watch(folder: Path, closing: ExitStack) -> Watch | None:
    """Return none where the kernel gives no more instances (128 for a user): then the log is looked at again and
    again."""
    try:
        return closing.enter_context(Watch(folder))
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENOSPC):
            raise
        return None


def _open(path: Path) -> BinaryIO | None:
    try:
        return open(path, "rb")
    except FileNotFoundError:
        return None


def _present(path: Path, current: BinaryIO | None, tail: int | None) -> Iterator[bytes]:
    """Whole lines of the rotated files, oldest first, then of the current one; the last `tail` of them all.

    What is written meanwhile is left for who follows: a reader must come to its end beside a busy writer.
    """
    left = tail
    end = os.fstat(current.fileno()).st_size if current is not None else 0
    if current is not None and left is not None:
        left -= begin_last(current, left)
    with ExitStack() as closing:
        files = []
        for file in _rotated(path, current, closing):
            if left is not None:
                if left <= 0:
                    break
                left -= begin_last(file, left)
            files.append(file)
        for file in reversed(files):
            yield from _whole_lines(file)
    if current is not None:
        yield from _whole_lines(current, end)


def _rotated(path: Path, current: BinaryIO | None, closing: ExitStack) -> Iterator[BinaryIO]:
    """Yield the rotated files, newest first; each once, even if all move on by one meanwhile."""
    seen = {os.fstat(current.fileno()).st_ino} if current is not None else set()
    numbers = (p.suffix[1:] for p in path.parent.glob(f"{path.name}.*"))
    for number in sorted(int(suffix) for suffix in numbers if suffix.isdigit()):
        file = _open(Path(f"{path}.{number}"))
        if file is not None:
            closing.enter_context(file)
            inode = os.fstat(file.fileno()).st_ino
            if inode not in seen:
                seen.add(inode)
                yield file


def _whole_lines(file: BinaryIO, end: int | None = None) -> Iterator[bytes]:
    """Yield lines up to the end, or the first that begins at `end` or behind it; a half-written one is left for
    later."""
    at = file.tell()
    while end is None or at < end:
        line = file.readline()
        if not line.endswith(b"\n"):
            file.seek(at)
            return
        at += len(line)
        yield line


def _selected(lines: Iterator[bytes], options: LogOptions) -> Iterator[LogRecord]:
    wanted = {name for name in ("stdout", "stderr") if getattr(options, name)}
    for raw in lines:
        try:
            line = _DECODER.decode(raw)
            moment = parse_time(line.time) if options.since or options.until else 0
        except (msgspec.DecodeError, ValueError):
            continue
        if options.until and moment > options.until:
            return
        if line.stream in wanted and moment >= options.since:
            yield LogRecord(line.stream, line.time, line.log.encode())


class _Follower:
    def __init__(
        self,
        path: Path,
        file: BinaryIO | None,
        watch: Watch | None,
        running: Callable[[], bool],
        until: int,
        cancellation: Cancellation,
    ) -> None:
        self._path = path
        self._file = file
        self._watch = watch
        self._running = running
        self._until = until
        self._cancellation = cancellation

    def lines(self) -> Iterator[bytes]:
        while not self._cancellation.cancelled and (not self._until or time.time_ns() <= self._until):
            more = self._running()  # asked before reading: what is written until then is read for sure
            yield from self._read()
            if not more:
                return
            if self._watch is not None:
                self._watch.wait(IDLE)
            else:
                self._cancellation.wait(GLANCE)

    def _read(self) -> Iterator[bytes]:
        if self._file is not None:
            yield from _whole_lines(self._file)
        for fresh in self._newer():
            if self._file is not None:
                yield from _whole_lines(self._file)
                self._file.close()
            self._file = fresh
            yield from _whole_lines(fresh)

    def _newer(self) -> list[BinaryIO]:
        """Return the logs begun since the one being read, oldest first: the current one, and rotated ones that were
        missed."""
        own = os.fstat(self._file.fileno()).st_ino if self._file is not None else 0
        found: list[BinaryIO] = []
        number = 0
        while (file := _open(Path(f"{self._path}.{number}") if number else self._path)) is not None:
            if os.fstat(file.fileno()).st_ino == own:
                file.close()
                break
            found.append(file)
            number += 1
        return found[::-1]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def begin_last(file: BinaryIO, wanted: int) -> int:
    """Seek to where the last `wanted` whole lines of an unbuffered or unread file begin; return how many there are.

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
    """Return where the line after the `number`-th last line end begins."""
    at = len(block)
    for _ in range(number):
        at = block.rfind(b"\n", 0, at)
    return at + 1


def log_spec(config: LogConfig, path: Path) -> LogSpec | None:
    """Return where output is logged, or None for no log. Raise InvalidInput for options that cannot be read."""
    if config.type == "none":
        return None
    count = config.config.get("max-file", "1")
    if not count.isdigit() or int(count) < 1:
        raise InvalidInput(f"max-file: {count!r} is not a number of files", option="max-file")
    return LogSpec(str(path), _max_size(config.config.get("max-size", "0")), int(count))


def _max_size(text: str) -> int:
    """Return the bytes after which a log is rotated; 0 for never, which "-1" means too."""
    return 0 if text.strip() == "-1" else parse_size(text, "max-size")
