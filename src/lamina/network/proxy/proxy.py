"""The engine's side of the proxy: it starts the process, hands it sockets, and starts another where it was killed."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import socket
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lamina.linux import interpreter
from lamina.network.proxy.limits import Limits

_LOG = logging.getLogger("lamina.network")
_PATIENCE = 10.0  # seconds within which the process answers, or a former one ends
_PAUSE = 1.0  # seconds before a process that was killed is replaced, so that it cannot be done without pause


@dataclass(frozen=True, slots=True)
class _Served:
    number: int
    listening: socket.socket
    target: tuple[str, int]


class Proxy:
    """Carries connections from sockets of the host to containers. Thread-safe; `close` may be called twice.

    The process starts with the first socket. It ends with the engine, and a lock on a file in `directory` tells the
    next engine when it, and with it its hold on the ports, is gone.
    """

    def __init__(self, directory: Path, limits: Limits | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory = directory
        self._limits = limits or Limits()
        self._lock = threading.Lock()
        self._served: dict[int, _Served] = {}
        self._next = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._closed = threading.Event()

    def settle(self) -> None:
        """Wait until the process of an engine that died has let go of its ports."""
        os.close(self._own())

    def serve(self, listening: socket.socket, target: tuple[str, int]) -> None:
        """Carry what arrives at `listening` (TCP or UDP, IPv4 or IPv6) to `target`, until `stop`."""
        with self._lock:
            self._next += 1
            served = self._served[listening.fileno()] = _Served(self._next, listening, target)
            if self._control is None:
                self._start()
            else:
                self._ask(served)

    def stop(self, listening: socket.socket) -> None:
        """End the service of a socket and close it; the port is free then. Connections under way run on."""
        with self._lock:
            served = self._served.pop(listening.fileno(), None)
            if served is not None:
                self._request({"op": "stop", "port": served.number})
        listening.close()

    def close(self) -> None:
        """End the process and all connections, and remove the file of its lock."""
        self._closed.set()
        with self._lock:
            process = self._process
            self._drop()
        if process is not None:
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._remove_lock()

    def _remove_lock(self) -> None:
        """Remove the lock's file, unless the process of an earlier engine still holds it."""
        path = self._directory / "proxy"
        with suppress(OSError):  # it is held, or was never made
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(descriptor)

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(_PATIENCE)
        texts, title = [self._limits.encode()], f"lamina {self._directory}"
        line = interpreter.command("lamina.network.proxy.server", [theirs.fileno()], texts, title=title)
        owned = self._own()
        try:
            self._process = subprocess.Popen(
                line,
                pass_fds=[theirs.fileno(), owned],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )
        finally:
            os.close(owned)
            theirs.close()
        self._control = ours
        threading.Thread(target=self._watch, args=(self._process,), name="lamina-proxy", daemon=True).start()
        for served in self._served.values():
            self._ask(served)

    def _own(self) -> int:
        """Return a descriptor that holds the lock of the one process that serves this engine's ports."""
        descriptor = os.open(self._directory / "proxy", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + _PATIENCE
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return descriptor
            if time.monotonic() > deadline:
                _LOG.warning("the proxy of an earlier engine does not end: it keeps its ports")
                return descriptor
            self._closed.wait(0.01)

    def _ask(self, served: _Served) -> None:
        """Hand a socket over. The process may still be starting: the kernel holds connections until it is there."""
        request = {"op": "serve", "port": served.number, "target": served.target}
        self._request(request, served.listening)

    def _request(self, request: dict[str, object], passed: socket.socket | None = None) -> None:
        """Send a request, and wait until a `stop` is done. A process that does not do it is replaced by `_watch`."""
        if self._control is None or self._process is None:
            return
        with suppress(OSError):  # it was killed, or hangs
            socket.send_fds(self._control, [json.dumps(request).encode()], [passed.fileno()] if passed else [])
            if passed or self._control.recv(16):
                return
        self._process.kill()
        self._process.wait()
        self._drop()

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        if self._closed.wait(_PAUSE):
            return
        with self._lock:
            if self._process is not process:
                return  # replaced already
            self._drop()
            if self._served and not self._closed.is_set():
                _LOG.warning("the proxy of published ports ended (status %d) and is started again", process.returncode)
                self._start()

    def _drop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
