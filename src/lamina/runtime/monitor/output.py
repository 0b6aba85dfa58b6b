"""The output of a task: read once, sent to every client, and kept in the log."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence

from lamina.runtime.monitor.log_file import LogFile, messages
from lamina.runtime.monitor.log_forward import Forwarder
from lamina.runtime.monitor.loop import READ, Loop
from lamina.runtime.monitor.protocol import LogSpec
from lamina.runtime.monitor.streams import CHUNK, Client, Input

DRAIN_LIMIT = 2 << 20  # bytes: more than a pipe holds (fcntl(2), F_SETPIPE_SZ), so more comes from a live writer


class Log:
    """Write complete messages to the log's file and to other readers. `close` writes incomplete ones, too."""

    def __init__(self, file: LogFile | None = None, forwarder: Forwarder | None = None) -> None:
        self.forwarder = forwarder
        self._sinks: Sequence[LogFile | Forwarder] = [sink for sink in (file, forwarder) if sink is not None]
        self._rest: dict[str, bytes] = {"stdout": b"", "stderr": b""}

    def write(self, stream: str, data: bytes) -> None:
        """Take output of `stream` ("stdout" or "stderr") as it came."""
        data = self._rest[stream] + data
        lines = list(messages(data))
        self._rest[stream] = data[sum(map(len, lines)) :]
        self._hand_on(stream, lines)

    def _hand_on(self, stream: str, lines: list[bytes]) -> None:
        for sink in self._sinks if lines else ():
            sink.write(stream, lines)

    def close(self) -> None:
        """Write unfinished lines and close everything. A second call does nothing."""
        for stream, rest in self._rest.items():
            self._hand_on(stream, [rest] if rest else [])
        for sink in self._sinks:
            sink.close()
        self._sinks = []


class Output:
    """The task's output: read once, logged, and sent to every client. Waits while a client lags too far behind."""

    def __init__(self, loop: Loop, log: LogSpec | None, last_client_gone: Callable[[], None]) -> None:
        self._loop = loop
        self._log = self._opened(log)
        self._sources: dict[int, str] = {}
        self._paused = False
        self._last_client_gone = last_client_gone
        self._clients: list[Client] = []

    def _opened(self, log: LogSpec | None) -> Log:
        if log is None:
            return Log()
        file_settings = (log.path, log.max_size, log.max_files, log.compress, log.attributes)
        forwarder = Forwarder(self._loop, log.forward, self._settle) if log.forward else None
        return Log(LogFile(*file_settings) if log.path else None, forwarder)

    @property
    def ended(self) -> bool:
        """Return whether every source has come to its end, and what it gave was sent on."""
        return not self._sources and (self._log.forwarder is None or self._log.forwarder.idle)

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
        """Drop closed clients, and stop or resume reading as the slowest reader asks."""
        self._clients = [client for client in self._clients if not client.closed]
        behind = self._log.forwarder is not None and self._log.forwarder.lagging
        paused = behind or any(client.lagging for client in self._clients)
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
        self._log.close()
        for client in list(self._clients):
            client.finish()
