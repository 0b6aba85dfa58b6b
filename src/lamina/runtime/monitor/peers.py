"""The engine's connections to one monitor."""

from __future__ import annotations

import json
import os
import signal
import socket
from contextlib import suppress
from typing import Any, Protocol

from lamina.runtime.monitor import protocol
from lamina.runtime.monitor.loop import HANGUP, READ, Loop
from lamina.runtime.monitor.output import Output
from lamina.runtime.monitor.streams import Input


class Served(Protocol):
    """What a monitor offers to its peers."""

    @property
    def output(self) -> Output: ...
    @property
    def input(self) -> Input | None: ...
    @property
    def raw(self) -> bool: ...
    def state(self) -> dict[str, Any]: ...
    def start(self, answer: Any) -> None: ...
    def resize(self, height: int, width: int) -> None: ...
    def kill(self, number: int, all: bool) -> bool: ...
    def abort(self) -> bool: ...
    def quit(self) -> None: ...


class Peers:
    """Accepts connections and answers them; see `protocol` for what is said."""

    def __init__(self, loop: Loop, listener: socket.socket, monitor: Served) -> None:
        self._loop = loop
        self._listener = listener
        self._monitor = monitor
        self._watchers: list[socket.socket] = []
        self._open: set[socket.socket] = set()
        listener.setblocking(False)
        loop.watch(listener.fileno(), READ, lambda events: self._accept())

    def tell(self, message: dict[str, Any]) -> None:
        """Send `message` to everyone who watches; never waits."""
        line = protocol.encode(message)
        for watcher in list(self._watchers):
            try:
                watcher.send(line, socket.MSG_DONTWAIT)
            except OSError:
                self._drop(watcher)

    def close(self) -> None:
        """End every connection but those handed to clients; may be called twice."""
        if self._listener.fileno() >= 0:
            self._loop.forget(self._listener.fileno())
            self._listener.close()
        for connection in list(self._open):
            self._drop(connection)

    def _accept(self) -> None:
        with suppress(OSError):  # it hung up before it was taken
            connection, _ = self._listener.accept()
            self._hear(connection)

    def add_watcher(self, connection: socket.socket) -> None:
        """Serve a connection that is told of events from the start."""
        self._hear(connection)
        self._watchers.append(connection)

    def hear_now(self, connection: socket.socket) -> None:
        """Serve a connection on which a request has been sent already, before all that others ask."""
        self._hear(connection)
        self._ready(connection, READ)

    def _hear(self, connection: socket.socket) -> None:
        connection.settimeout(5)  # a line is sent whole; a peer that stalls within one is cut off
        self._open.add(connection)
        self._loop.watch(connection.fileno(), READ, lambda events: self._ready(connection, events))

    def _drop(self, connection: socket.socket) -> None:
        self._open.discard(connection)
        if connection in self._watchers:
            self._watchers.remove(connection)
        self._loop.forget(connection.fileno())
        connection.close()

    def _ready(self, connection: socket.socket, events: int) -> None:
        if not events & READ and events & HANGUP:
            self._drop(connection)
            return
        try:
            line = protocol.read_line(connection)
            request = json.loads(line) if line else None
        except (OSError, ValueError):
            request = None
        if request is None:
            self._drop(connection)
        elif request["op"] == "attach":
            self._attach(connection, request)
        else:
            self._serve(connection, request)

    def _attach(self, connection: socket.socket, request: dict[str, Any]) -> None:
        self._loop.forget(connection.fileno())
        self._open.discard(connection)
        self._answer(connection, {})
        taken = self._monitor.input if request["stdin"] else None
        keys = bytes.fromhex(request["detach_keys"])
        streams = frozenset(name for name in ("stdout", "stderr") if request[name])
        self._monitor.output.attach(connection, streams, taken, raw=self._monitor.raw, keys=keys)

    def _serve(self, connection: socket.socket, request: dict[str, Any]) -> None:
        match request["op"]:
            case "watch":
                self._answer(connection, self._monitor.state())
                self._watchers.append(connection)
            case "start":
                self._monitor.start(lambda message: self._answer(connection, message))
            case "resize":
                self._monitor.resize(request["height"], request["width"])
                self._answer(connection, {})
            case "kill":
                done = self._kill(request["signal"], request["all"])
                self._answer(connection, {} if done else {"error": "not running"})
            case "abort":
                self._answer(connection, {"ended": self._monitor.abort()})
            case "quit":
                self._answer(connection, {})
                self._monitor.quit()
            case other:
                self._answer(connection, {"error": f"unknown op {other}"})

    def _kill(self, number: int, all: bool) -> bool:
        try:
            return self._monitor.kill(number, all)
        except ProcessLookupError:
            return False

    def _answer(self, connection: socket.socket, message: dict[str, Any]) -> None:
        with suppress(OSError):  # who asked is gone
            connection.sendall(protocol.encode(message))


def ignore_signals() -> None:
    """Make this monitor independent of the engine's terminal and session: it ends with its task."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):  # it leads a session already
        os.setsid()
