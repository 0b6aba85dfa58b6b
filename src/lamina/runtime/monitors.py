"""The engine's side of its monitors: the fork server that makes them, and the thread that hears from them."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lamina.errors import Unavailable
from lamina.linux import interpreter
from lamina.linux.processes import limit_for_children
from lamina.runtime.monitor.protocol import START_SECONDS, Job


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command ended; output is cut at 64 KiB."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class Spawner:
    """One fork server. It starts with the first request, again if it was killed. Thread-safe.

    `root` only shows in its process title, to tell the servers of several engines apart.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._closed = False

    def warm(self) -> None:
        """Start the server now rather than with the first request."""
        with self._lock:
            self._connected()

    def monitor(
        self, job: Job, listener: socket.socket, connections: Sequence[socket.socket], sealable: str = ""
    ) -> int:
        """Have a monitor serve `listener` and `connections`, of which the first one watches. Return its process ID.

        A program at the path `sealable` is executed from a sealed copy.
        """
        message = {"op": "monitor", "job": job.dump(), "connections": len(connections), "sealable": sealable}
        return self._request(message, [part.fileno() for part in (listener, *connections)])

    def run(
        self, command: Sequence[str], hide: Sequence[str] = (), input: bytes = b"", seconds: float = START_SECONDS
    ) -> Completed:
        """Run a command to its end, without the mounts in `hide`, and return what it printed. One that takes longer
        than `seconds` is killed, with all that it started."""
        pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(4)]
        ends = [pipes[0][0], pipes[1][1], pipes[2][1], pipes[3][1]]
        ours = [pipes[0][1], pipes[1][0], pipes[2][0], pipes[3][0]]
        try:
            self._request({"op": "command", "command": list(command), "hide": list(hide), "seconds": seconds}, ends)
        except BaseException:
            for fd in ours:
                os.close(fd)
            raise
        finally:
            for fd in ends:
                os.close(fd)
        with suppress(BrokenPipeError), open(ours[0], "wb") as file:
            file.write(input)
        status, out, err = (_slurp(fd) for fd in (ours[3], ours[1], ours[2]))
        return Completed(int(status or b"-1"), out, err)

    def close(self) -> None:
        """End the server; monitors stay, and further requests raise Unavailable. May be called twice."""
        with self._lock:
            self._closed = True
            self._drop()

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.wait()
            self._process = None

    def _connected(self) -> socket.socket:
        if self._closed:
            raise Unavailable("the engine has been closed")
        if self._socket is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            numbers = [theirs.fileno(), limit_for_children()]
            line = interpreter.command("lamina.runtime.monitor.server", numbers, title=f"lamina {self._root}")
            self._process = subprocess.Popen(
                line, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd="/"
            )
            theirs.close()
            self._socket = ours
        return self._socket

    def _request(self, message: dict[str, Any], fds: list[int]) -> int:
        raw = json.dumps(message).encode()
        with self._lock:
            for _ in range(2):
                server = self._connected()
                try:
                    socket.send_fds(server, [raw], fds)
                    answer = server.recv(4096)
                except OSError:
                    answer = b""
                if answer:
                    return int(json.loads(answer)["pid"])
                self._drop()
        raise Unavailable("the process that starts containers does not start")


def _slurp(fd: int, limit: int = 64 * 1024) -> bytes:
    with open(fd, "rb") as file:
        beginning = file.read(limit)
        while file.read(limit):
            pass
        return beginning


@dataclass(slots=True)
class _Watched:
    connection: socket.socket
    told: Callable[[dict[str, Any]], None]
    gone: Callable[[], None]
    left: Callable[[], None]
    rest: bytearray = field(default_factory=bytearray)


class Watcher:
    """Calls back as monitors tell something or go away. Callbacks run in the watcher's thread and must be quick."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._epoll.register(self._wake_read, select.EPOLLIN)
        self._watched: dict[int, _Watched] = {}
        self._closed = False
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def add(
        self,
        connection: socket.socket,
        told: Callable[[dict[str, Any]], None],
        gone: Callable[[], None],
        left: Callable[[], None],
    ) -> None:
        """Take over `connection`: `told` gets each JSON line, and `gone` is called once when the monitor is no more.

        `left` is called instead when the watcher is closed before that.
        """
        connection.setblocking(False)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="monitors", daemon=True)
                self._thread.start()
            self._watched[connection.fileno()] = _Watched(connection, told, gone, left)
            self._epoll.register(connection.fileno(), select.EPOLLIN)

    def close(self) -> None:
        """Stop listening, and call `left` for each monitor. They and their tasks go on. May be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            os.write(self._wake_write, b"x")
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        for watched in self._watched.values():
            watched.connection.close()
            watched.left()
        self._epoll.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _run(self) -> None:
        while not self._closed:
            for fd, _ in self._epoll.poll():
                watched = self._watched.get(fd)
                if watched is not None:
                    self._read(watched)

    def _read(self, watched: _Watched) -> None:
        try:
            data = watched.connection.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        watched.rest += data
        while (end := watched.rest.find(b"\n")) >= 0:
            line = bytes(watched.rest[:end])
            del watched.rest[: end + 1]
            with contextlib.suppress(ValueError):
                watched.told(json.loads(line))
        if not data:
            with self._lock:
                fd = watched.connection.fileno()
                self._epoll.unregister(fd)
                del self._watched[fd]
            watched.connection.close()
            watched.gone()
