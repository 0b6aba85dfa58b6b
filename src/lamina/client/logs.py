"""A container's log as a daemon sends it, and the records in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lamina.formats.frames import STDERR, STDOUT, whole_frames
from lamina.types.run_results import LogRecord


def log_records(chunks: Iterable[bytes], tty: bool) -> Iterator[LogRecord]:
    """Yield the records of a log that was asked for with timestamps.

    Each frame is one record. With a terminal there are no frames, and each line is one.
    """
    for channel, record in _terminal_lines(chunks) if tty else whole_frames(chunks):
        time, _, data = record.partition(b" ")
        yield LogRecord("stderr" if channel == STDERR else "stdout", time.decode("ascii", "replace"), data)


def _terminal_lines(chunks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield STDOUT, line + b"\n"
    if rest:
        yield STDOUT, rest
