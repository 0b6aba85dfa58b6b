"""Reading logs: over their rotated files, from the end or from where a reader was, and on as they grow."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lamina.cancellation import NEVER, Cancellation
from lamina.containers.log_files import (
    begin_after,
    begin_last,
    decode,
    first_time,
    moment,
    open_log,
    rotated,
    whole_lines,
)
from lamina.linux.inotify import Watch
from lamina.types.run_results import LogRecord

IDLE = 0.5  # seconds between two looks at whether the container has ended
GLANCE = 0.2  # seconds between two looks at a log that cannot be watched


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What to read. Times in nanoseconds since the epoch, 0 for no bound; `tail` None for everything.

    The `tail` last lines are taken first, and of them what the other options let through, as dockerd does it. `after`
    is the time of the last record that a reader has had.
    """

    stdout: bool = True
    stderr: bool = True
    follow: bool = False
    since: int = 0
    until: int = 0
    tail: int | None = None
    after: int = 0


def read(
    path: Path, options: LogOptions, running: Callable[[], bool], cancellation: Cancellation = NEVER
) -> Iterator[LogRecord]:
    """Yield the records of the log at `path`, oldest first; with `follow` also those to come, until the container ends.

    `running` says whether more may come. Lines that cannot be read are passed over. `cancellation` ends following, and
    so does the time `until`.
    """
    with ExitStack() as closing:
        watch = _watch(path.parent, closing) if options.follow and path.parent.is_dir() else None
        current = open_log(path)
        follower = _Follower(path, current, watch, running, options.until, cancellation)
        closing.callback(follower.close)
        yield from _selected(_present(path, current, options), options)
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


def _present(path: Path, current: BinaryIO | None, options: LogOptions) -> Iterator[bytes]:
    """Whole lines of the rotated files, oldest first, then of the current one; the last `tail` of them all, or those
    behind `after`.

    What is written meanwhile is left for who follows: a reader must come to its end beside a busy writer.
    """
    end = os.fstat(current.fileno()).st_size if current is not None else 0
    with ExitStack() as closing:
        for file in reversed(list(_chosen(path, current, options, closing))):
            yield from whole_lines(file, end if file is current else None)


def _chosen(path: Path, current: BinaryIO | None, options: LogOptions, closing: ExitStack) -> Iterator[BinaryIO]:
    """Yield the files to read, newest first, each at the place to read from."""
    left, begin = options.tail, first_time(current) if current is not None else 0
    if current is not None:
        left = _place(current, options, left)
        yield current
    if (left is not None and left <= 0) or 0 < begin <= options.after:
        return
    for file in rotated(path):
        closing.callback(file.close)
        first = first_time(file)
        if begin and first == begin:
            continue  # it was rotated just now
        left = _place(file, options, left)
        yield file
        if (left is not None and left <= 0) or first <= options.after:
            return


def _place(file: BinaryIO, options: LogOptions, left: int | None) -> int | None:
    """Seek to where reading begins. Return how many lines of older files are still to be taken, None for all."""
    if left is not None:
        return left - begin_last(file, left)
    if options.after:
        begin_after(file, options.after)
    return None


def _selected(lines: Iterator[bytes], options: LogOptions) -> Iterator[LogRecord]:
    streams = {name for name in ("stdout", "stderr") if getattr(options, name)}
    after = max(options.since - 1, options.after)
    for raw in lines:
        line = decode(raw)
        if line is None:
            continue
        try:
            logged = moment(line.time) if after or options.until else 0
        except ValueError:
            continue
        if options.until and logged > options.until:
            return
        if after and logged <= after:
            continue
        if not options.since:
            after = 0  # later ones are later
        if line.stream in streams:
            yield LogRecord(line.stream, line.time, line.log.encode(), line.attrs)


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
            yield from whole_lines(self._file)
        for fresh in self._newer():
            if self._file is not None:
                yield from whole_lines(self._file)
                self._file.close()
            self._file = fresh
            yield from whole_lines(fresh)

    def _newer(self) -> list[BinaryIO]:
        """Return the logs begun since the one being read, oldest first: the current one, and rotated ones that were
        missed."""
        current = open_log(self._path)
        if current is None:
            return []
        if self._file is not None and os.path.sameopenfile(current.fileno(), self._file.fileno()):
            current.close()
            return []
        begin = first_time(self._file) if self._file is not None else 0
        newer = [current]
        for file in rotated(self._path):
            first = first_time(file)
            if first <= begin:
                file.close()
                break
            if first == first_time(current):
                file.close()  # it was rotated just now
                continue
            newer.append(file)
        return newer[::-1]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
