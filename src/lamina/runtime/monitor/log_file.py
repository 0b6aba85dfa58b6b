"""Docker's json-file log: a line of JSON for each message, in files that are rotated by size and may be compressed.

The times of a log's messages increase from one to the next, so that a reader can go on behind any of them. A clock
that is set back is not followed for `_CLOCK_PATIENCE`.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from json.encoder import encode_basestring

from lamina.formats.times import format_time, parse_time

MESSAGE_LIMIT = 16 * 1024  # bytes; longer lines are split, the parts but the last without a line end (moby copier.go)
COMPRESSED = ".gz"

_SECOND = 1_000_000_000
_CLOCK_PATIENCE = 3600 * _SECOND
_LAST_LINE = 1 << 18  # bytes from the end in which the last line is looked for: more than a message can take
_PIECE = 1 << 18  # bytes that are compressed at a time
_GZIP = 31  # zlib's window bits for gzip's format (zlib.h)
_ESCAPED = "<>&\u2028\u2029"  # what Go's encoder escapes beyond JSON's own rules
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def messages(data: bytes) -> Iterator[bytes]:
    """Split whole lines (and over-long parts of lines) out of `data`; what they leave is the caller's rest."""
    start = 0
    while start < len(data):
        end = data.find(b"\n", start, start + MESSAGE_LIMIT)
        if end >= 0:
            end += 1
        elif len(data) - start >= MESSAGE_LIMIT:
            end = start + MESSAGE_LIMIT
        else:
            return
        yield data[start:end]
        start = end


class LogFile:
    """Append messages to the log at `path`.

    `max_size` in bytes (0 means no limit) rotates to `path.1` … `path.<max_files - 1>`, which `compress` makes
    `path.1.gz` …. `attributes` are in every line. A full disk loses lines and never stops the container.
    """

    def __init__(
        self,
        path: str,
        max_size: int = 0,
        max_files: int = 1,
        compress: bool = False,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        self._path = path
        self._max_size = max_size
        self._max_files = max(1, max_files)
        self._compress = compress
        self._attributes = f',"attrs":{json.dumps(attributes, sort_keys=True)}' if attributes else ""
        self._compressor = 0  # the process that compresses what was rotated last
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        self._fd = self._open()
        with suppress(OSError):  # what cannot be mended is written on all the same
            _cut_behind_whole_lines(path)
        self._size = os.fstat(self._fd).st_size
        self._last = last_time(path)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def write(self, stream: str, lines: list[bytes]) -> None:
        """Append messages of `stream` ("stdout" or "stderr")."""
        texts = [encode_basestring(line.decode("utf-8", "replace")) for line in lines]
        whole = "".join(texts)
        if any(character in whole for character in _ESCAPED):
            texts = [text.translate(_ESCAPES) for text in texts]
        middle = f',"stream":"{stream}"{self._attributes},"time":"'
        encoded = [
            f'{{"log":{text}{middle}{moment}"}}\n' for text, moment in zip(texts, self._times(len(lines)), strict=True)
        ]
        for piece in self._pieces(encoded):
            with suppress(OSError):  # a full disk must not stop the container
                self._put(piece)

    def _times(self, count: int) -> Iterator[str]:
        """Yield so many times, RFC 3339, each a nanosecond later than the one before at least."""
        now = time.time_ns()
        begin = self._last + 1 if 0 <= self._last - now < _CLOCK_PATIENCE else now
        self._last = begin + count - 1
        second, prefix = -1, ""
        for moment in range(begin, begin + count):
            whole, part = divmod(moment, _SECOND)
            if whole != second:
                second, prefix = whole, format_time(whole * _SECOND)[:19]
            text = f"{part:09d}"
            text = text if part % 10 else text.rstrip("0")
            yield f"{prefix}.{text}Z" if text else f"{prefix}Z"

    def _put(self, piece: bytes) -> None:
        """Append whole lines. Remove a line that a full disk cut, or the next would be joined to it."""
        done = os.write(self._fd, piece)
        if done < len(piece):
            complete = piece.rfind(b"\n", 0, done) + 1
            os.ftruncate(self._fd, os.fstat(self._fd).st_size - (done - complete))

    def _pieces(self, encoded: list[str]) -> Iterator[bytes]:
        if not self._max_size:
            yield "".join(encoded).encode()
            return
        for line in encoded:
            raw = line.encode()
            if self._size >= self._max_size:
                self._rotate()
            self._size += len(raw)
            yield raw

    def _rotate(self) -> None:
        with suppress(OSError):  # then the file grows past its size
            if self._max_files > 1:
                self._await_compressor()
                for number in range(self._max_files - 1, 1, -1):
                    self._move(f"{self._path}.{number - 1}", f"{self._path}.{number}")
                self._move(self._path, f"{self._path}.1")
            else:
                os.unlink(self._path)
            fresh = self._open()
            os.close(self._fd)
            self._fd, self._size = fresh, 0
            if self._compress and self._max_files > 1:
                self._compressor = _compress_aside(f"{self._path}.1")

    @staticmethod
    def _move(source: str, target: str) -> None:
        """Give a rotated file the next number, in the form that it has."""
        for form in ("", COMPRESSED):
            with suppress(FileNotFoundError):
                os.unlink(target + form)
        for form in ("", COMPRESSED):
            with suppress(FileNotFoundError):
                os.rename(source + form, target + form)

    def _await_compressor(self) -> None:
        if self._compressor:
            with suppress(ChildProcessError):  # the loop has seen its end
                os.waitpid(self._compressor, 0)
            self._compressor = 0

    def close(self) -> None:
        """Close the file. A second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _cut_behind_whole_lines(path: str) -> None:
    """Remove what a power cut left of a last line, or zeros in its place: the next line would be joined to it."""
    with open(path, "r+b") as file:
        end = size = os.fstat(file.fileno()).st_size
        while end:
            start = max(0, end - _LAST_LINE)
            file.seek(start)
            after = file.read(end - start).rfind(b"\n") + 1
            if after:
                end = start + after
                break
            end = start
        if end < size:
            file.truncate(end)


def last_time(path: str) -> int:
    """Return when the last message of a log was written, in nanoseconds since the epoch; 0 where that is not known."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _LAST_LINE))
            lines = file.read().split(b"\n")
        return parse_time(json.loads(lines[-2])["time"])
    except (OSError, ValueError, LookupError, TypeError):
        return 0


def _compress_aside(path: str) -> int:
    """Compress the file at `path` in a process of its own, which is returned, and remove it."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # the container's streams, above all
        os.nice(10)
        _compress(path)
        status = 0
    finally:
        os._exit(status)


def _compress(path: str) -> None:
    temporary = f"{path}{COMPRESSED}.tmp"
    with suppress(FileNotFoundError):
        os.unlink(temporary)  # of a process that was killed
    packer = zlib.compressobj(wbits=_GZIP)
    with open(path, "rb") as source, open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        while piece := source.read(_PIECE):
            out.write(packer.compress(piece))
        out.write(packer.flush())
    os.rename(temporary, path + COMPRESSED)
    os.unlink(path)
