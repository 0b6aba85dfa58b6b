"""The output of a task: read once, sent to every client, and kept in Docker's json-file log, rotated by size."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from json.encoder import encode_basestring

from lamina.formats.times import format_time
from lamina.runtime.monitor.loop import READ, Loop
from lamina.runtime.monitor.streams import CHUNK, Client, Input

DRAIN_LIMIT = 2 << 20  # bytes: more than a pipe holds (fcntl(2), F_SETPIPE_SZ), so more comes from a live writer
MESSAGE_LIMIT = 16 * 1024  # bytes; longer lines are split, the parts but the last without a line end (moby copier.go)

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


class JsonLog:
    """Appends output to the log at `path`.

    `max_size` in bytes (0 means no limit) rotates to `path.1` … `path.<max_files - 1>`. A full disk loses lines and
    never stops the container. Lines appear when complete; `close` writes what is left of them, and may be called
    twice.
    """

    def __init__(self, path: str, max_size: int = 0, max_files: int = 1) -> None:
        self._path = path
        self._max_size = max_size
        self._max_files = max(1, max_files)
        self._rest: dict[str, bytes] = {"stdout": b"", "stderr": b""}
        self._fd = self._open()
        self._size = os.fstat(self._fd).st_size

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def write(self, stream: str, data: bytes) -> None:
        """Take output of `stream` ("stdout" or "stderr") as it came."""
        data = self._rest[stream] + data
        lines = list(messages(data))
        self._rest[stream] = data[sum(map(len, lines)) :]
        if lines:
            self._append(stream, lines)

    def _append(self, stream: str, lines: list[bytes]) -> None:
        tail = f',"stream":"{stream}","time":"{format_time(time.time_ns())}"}}\n'
        texts = [encode_basestring(line.decode("utf-8", "replace")) for line in lines]
        whole = "".join(texts)
        if any(character in whole for character in _ESCAPED):
            texts = [text.translate(_ESCAPES) for text in texts]
        encoded = [f'{{"log":{text}{tail}' for text in texts]
        for piece in self._pieces(encoded):
            with suppress(OSError):  # a full disk must not stop the container
                self._put(piece)

    def _put(self, piece: bytes) -> None:
        """Append whole lines. Of one that the disk has no room for nothing stays: the next would be joined to it."""
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
                for number in range(self._max_files - 1, 1, -1):
                    with suppress(FileNotFoundError):
                        os.rename(f"{self._path}.{number - 1}", f"{self._path}.{number}")
                os.rename(self._path, f"{self._path}.1")
            else:
                os.unlink(self._path)
            fresh = self._open()
            os.close(self._fd)
            self._fd, self._size = fresh, 0

    def close(self) -> None:
        """Write unfinished lines and close the file."""
        if self._fd < 0:
            return
        for stream, rest in self._rest.items():
            if rest:
                self._append(stream, [rest])
        os.close(self._fd)
        self._fd = -1


class Output:
    """The task's output: read once, logged, and sent to every client. Waits while a client lags too far behind."""

    def __init__(self, loop: Loop, log: JsonLog | None, last_client_gone: Callable[[], None]) -> None:
        self._loop = loop
        self._log = log
        self._sources: dict[int, str] = {}
        self._paused = False
        self._last_client_gone = last_client_gone
        self._clients: list[Client] = []

    @property
    def ended(self) -> bool:
        """Return whether every source has come to its end."""
        return not self._sources

    @property
    def clients(self) -> list[Client]:
        return self._clients

    def read_from(self, fd: int, stream: str) -> None:
        os.set_blocking(fd, False)
        self._sources[fd] = stream
        self._watch(fd)

    def _watch(self, fd: int) -> None:
        def ready(events: int) -> None:
            self._read(fd)

        self._loop.watch(fd, READ, ready)

    def attach(
        self, connection: socket.socket, streams: frozenset[str], input: Input | None, *, raw: bool, keys: bytes
    ) -> None:
        """Send the output of `streams` to a client, and what the client sends to `input`."""
        client = Client(self._loop, connection, streams, input, self._settle, raw=raw, keys=keys)
        self._clients.append(client)
        client.begin()

    def _settle(self) -> None:
        """Drop closed clients, and stop or resume reading as the slowest client asks."""
        self._clients = [client for client in self._clients if not client.closed]
        paused = any(client.lagging for client in self._clients)
        if paused != self._paused:
            self._paused = paused
            for fd in list(self._sources):
                if paused:
                    self._loop.forget(fd)
                else:
                    self._watch(fd)
        if not self._clients:
            self._last_client_gone()

    def _read(self, fd: int) -> bool:
        """Read one chunk. Return whether there may be more now."""
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            return False
        except OSError:  # EIO: nobody holds the terminal any more
            data = b""
        if not data:
            self._drop(fd)
            return False
        stream = self._sources[fd]
        if self._log is not None:
            self._log.write(stream, data)
        for client in list(self._clients):
            client.send(stream, data)
        return True

    def _drop(self, fd: int) -> None:
        self._loop.forget(fd)
        del self._sources[fd]
        os.close(fd)

    def drain(self) -> None:
        """Take all that is there now, at the task's end, without waiting for slow clients. What processes that go on
        write meanwhile comes later, as ever."""
        for fd in list(self._sources):
            left = DRAIN_LIMIT
            while left > 0 and self._read(fd):
                left -= CHUNK

    def close(self) -> None:
        """End every stream: the log is completed, clients are closed once they have everything."""
        for fd in list(self._sources):
            self._drop(fd)
        if self._log is not None:
            self._log.close()
        for client in list(self._clients):
            client.finish()
