"""The engine's connection to the keeper: found or started, asked, and given up when the keeper hangs or was killed."""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import lamina
from lamina.linux import interpreter
from lamina.network.names.protocol import Message, receive, send

_LOG = logging.getLogger("lamina.network")
_PATIENCE = 10.0  # seconds within which the keeper answers
_PAUSE = 1.0  # seconds between the starts of two keepers, so that one that cannot live does not take a processor
_BACKLOG = 4
OWED = 6  # answers that may be left for later: fewer than the shortest queue of a socket (unix(7), max_dgram_qlen)


class KeeperLink:
    """A connection to the keeper whose socket is in `directory`, or to none. The caller keeps threads apart.

    When a keeper is gone, `lost` is called by a thread of its own, but not after `close`.
    """

    def __init__(self, directory: Path, lost: Callable[[], None]) -> None:
        self._directory = directory
        self._lost = lost
        self._socket: socket.socket | None = None
        self._owed = 0  # answers that the keeper has yet to give
        self._watcher: threading.Thread | None = None
        self._closed = threading.Event()

    @property
    def closed(self) -> bool:
        """Return whether it was closed for good."""
        return self._closed.is_set()

    @property
    def connected(self) -> bool:
        """Return whether there is a keeper that can be asked."""
        return self._socket is not None and not _hung_up(self._socket, 0)

    def connect(self) -> None:
        """Connect to the keeper that an earlier engine left, and begin; one of another version is ended."""
        keeper = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with self._address() as address:
                keeper.connect(address)
        except OSError:  # there is none
            keeper.close()
            return
        self._take(keeper, None)
        if self.request({"op": "begin"}).get("version") != lamina.__version__:
            self._end()
            self.drop()

    def start(self) -> None:
        """Start a keeper in the place of one that is gone, and begin, without waiting for it. Raise OSError."""
        self.drop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening, self._address() as address:
            with suppress(FileNotFoundError):
                os.unlink(address)
            listening.bind(address)
            listening.listen(_BACKLOG)
            process = _spawn(listening.fileno(), theirs.fileno(), f"lamina {self._directory}")
        self._take(ours, process)
        self.request({"op": "begin"}, owing=OWED)

    def request(self, request: Message, descriptors: Sequence[int] = (), *, owing: int = 0) -> Message:
        """Send a request and return its answer; as many answers as `owing` may be left for later.

        Without a keeper nothing happens, and the answer is empty. So it is when the keeper is lost meanwhile.
        """
        if self._socket is None:
            return {}
        try:
            send(self._socket, request, descriptors)
            self._owed += 1
        except OSError as error:
            self._give_up(error)
        return self.collect(owing)

    def collect(self, owing: int = 0) -> Message:
        """Take the keeper's answers, but for as many as `owing`, and return the last one."""
        answer: Message = {}
        try:
            while self._socket is not None and self._owed > owing:
                received = receive(self._socket)
                if received is None:
                    raise ConnectionResetError("it ended")
                answer, _ = received
                self._owed -= 1
        except OSError as error:
            self._give_up(error)
        return answer

    def drop(self) -> None:
        """Close the connection; a second call does nothing."""
        if self._socket is not None:
            with suppress(OSError):  # the keeper ended first
                self._socket.shutdown(socket.SHUT_RDWR)  # wakes `_watch`, too
            self._socket.close()
            self._socket = None

    def close(self, *, end: bool) -> None:
        """Close the connection for good. With `end` the keeper has ended, too; else it goes on to answer.

        A second call does nothing.
        """
        self._closed.set()
        if end:
            self._end()
            (self._directory / "keeper").unlink(missing_ok=True)
        self.drop()

    def _end(self) -> None:
        """End the keeper, and wait until it has ended: it closes its connections then."""
        self.request({"op": "end"})
        if self._socket is not None and not _hung_up(self._socket, int(_PATIENCE * 1000)):
            _LOG.warning("the keeper of names does not end")

    def wait(self) -> None:
        """Wait until nothing is left of a keeper that was ended. The caller must not keep `lost` from returning."""
        if self._watcher is not None:
            self._watcher.join(_PATIENCE)

    @contextmanager
    def _address(self) -> Iterator[str]:
        """Yield a short name for the keeper's socket, whatever the length of the directory's (unix(7): 108 bytes)."""
        directory = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield f"/proc/self/fd/{directory}/keeper"
        finally:
            os.close(directory)

    def _take(self, keeper: socket.socket, process: int | None) -> None:
        keeper.settimeout(_PATIENCE)
        self._socket = keeper
        self._owed = 0
        watched = socket.socket(fileno=os.dup(keeper.fileno()))
        self._watcher = threading.Thread(target=self._watch, args=(watched, process), name="lamina-names", daemon=True)
        self._watcher.start()

    def _watch(self, watched: socket.socket, process: int | None) -> None:
        """Wait for the end of a connection, and of the keeper where we started it. One that only hangs is killed."""
        pause_until = time.monotonic() + _PAUSE
        with watched:
            _hung_up(watched, None)
        if process is not None:
            if not self._closed.is_set():
                os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
        if not self._closed.wait(max(0.0, pause_until - time.monotonic())):
            self._lost()

    def _give_up(self, error: OSError) -> None:
        _LOG.warning("the keeper of names does not answer: %s", error)
        self.drop()


def _hung_up(connection: socket.socket, timeout: int | None) -> bool:
    """Wait for at most `timeout` milliseconds (None: without end) until a connection ends; return whether it did."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return bool(poll.poll(timeout))


def _spawn(listening: int, engine: int, title: str) -> int:
    """Start a keeper that outlives the calling process, and return its process ID. Raise OSError."""
    texts = [lamina.__version__]
    line = interpreter.command("lamina.network.names.keeper", [listening, engine], texts, title=title)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        return os.posix_spawn(
            line[0],
            line,
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, null, 0),
                (os.POSIX_SPAWN_DUP2, null, 1),
                *((os.POSIX_SPAWN_DUP2, descriptor, descriptor) for descriptor in (listening, engine)),
            ],
            setsid=True,
        )
    finally:
        os.close(null)
