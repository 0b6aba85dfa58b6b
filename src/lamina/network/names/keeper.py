"""The keeper's process: it holds the sockets and the table for the engine, and forks the server that uses them.

The keeper outlives the engine, so that names work while a daemon is replaced. The server, which strangers talk to, may
crash: the keeper forks another one, which inherits everything, and the kernel holds the questions meanwhile. The server
has no privileges, so the keeper makes the sockets it needs inside a sandbox's network namespace, see `broker`.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import time
from contextlib import suppress

from lamina.linux.processes import name_process, raise_limit
from lamina.network.names.broker import Untrustworthy, answer_request
from lamina.network.names.limits import NameLimits
from lamina.network.names.loop import Loop
from lamina.network.names.protocol import Message, receive, send
from lamina.network.names.server import serve
from lamina.network.names.state import State, used_namespaces

_LOG = logging.getLogger("lamina.network.names")
_PATIENCE = 5.0  # seconds within which the server takes a message
_PAUSE = 1.0  # seconds between two forks, so that a server that cannot live does not take all of a processor


def main(listening: int, engine: int, version: str) -> None:
    """Serve engines that connect to the socket `listening`; `engine` is the connection to the first of them."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    name_process("lamina-keeper")
    os.chdir("/")
    limits = NameLimits().within(raise_limit())
    Keeper(socket.socket(fileno=listening), version, limits).run(socket.socket(fileno=engine))


class Keeper:
    """The state, the engines that change it, and the server."""

    def __init__(self, listening: socket.socket, version: str, limits: NameLimits) -> None:
        self._listening = listening
        self._version = version
        self._limits = limits
        self._state = State()
        self._loop = Loop(lambda error: _LOG.error("the keeper of names failed", exc_info=error))
        self._engines: set[socket.socket] = set()
        self._outdated: tuple[set[str], set[str]] = (set(), set())  # sandboxes and places
        self._server: socket.socket | None = None
        self._process = self._watched = -1
        self._fork_at = self._looked_at = 0.0

    def run(self, engine: socket.socket) -> None:
        """Serve until an engine says that this is the end, or nobody is left to serve."""
        self._loop.add(self._listening, self._accept)
        self._add_engine(engine)
        while not self._loop.ended:
            self._loop.run_once(self._patience())
            if self._fork_at and self._loop.now >= self._fork_at:
                self._fork()
            if not self._engines and self._loop.now - self._looked_at >= self._limits.deserted:
                self._forget_deserted()
        self._end_server()

    def _patience(self) -> float | None:
        """Return how many seconds nothing is to be done if nobody asks; None for ever."""
        if self._fork_at:
            return max(0.0, self._fork_at - time.monotonic())
        return None if self._engines else self._limits.deserted

    def _forget_deserted(self) -> None:
        """Forget sandboxes whose last process has ended, as nobody else will tell; without any the keeper ends."""
        self._looked_at = self._loop.now
        used = used_namespaces()
        for id in [id for id, served in self._state.served.items() if served.namespace_id() not in used]:
            self._change({"op": "unserve", "id": id}, [])
        self._loop.ended = self._loop.ended or not self._state.served

    def _accept(self) -> None:
        self._add_engine(self._listening.accept()[0])

    def _add_engine(self, engine: socket.socket) -> None:
        self._engines.add(engine)
        self._loop.add(engine, lambda: self._follow(engine))

    def _follow(self, engine: socket.socket) -> None:
        try:
            received = receive(engine)
            if received is not None:
                send(engine, self._answer(*received))
                return
        except OSError:  # it was killed
            pass
        self._loop.remove(engine)
        self._engines.discard(engine)
        engine.close()
        self._looked_at = self._loop.now
        self._loop.ended = not self._engines and not self._state.served

    def _answer(self, request: Message, descriptors: list[int]) -> Message:
        try:
            return self._obey(request, descriptors)
        except (OSError, ValueError) as error:  # descriptors are used up, say: the engine must not wait for an answer
            return {"error": str(error)}

    def _obey(self, request: Message, descriptors: list[int]) -> Message:
        sandboxes, places = self._outdated
        match request["op"]:
            case "begin":
                self._outdated = set(self._state.served), {place.id for place in self._state.table.places()}
                return {"version": self._version}
            case "has":
                sandboxes.discard(request["id"])
                return {"has": request["id"] in self._state.served}
            case "settle":
                for gone in sandboxes:
                    self._change({"op": "unserve", "id": gone}, [])
                for gone in places:
                    self._change({"op": "drop", "id": gone}, [])
                self._outdated = set(), set()
            case "end":
                self._loop.ended = True
            case _:
                sandboxes.discard(request["id"])
                places.discard(request["id"])
                self._change(request, descriptors)
        return {}

    def _change(self, request: Message, descriptors: list[int]) -> None:
        """Change the state, and have the server do the same."""
        self._state.apply(request, descriptors)
        if self._server is None:
            if not self._fork_at:
                self._fork()
            return
        try:
            send(self._server, request, descriptors[:2])
        except OSError:  # it was killed, or hangs; its end is noticed by `_server_ended`
            self._kill_server()

    # the server

    def _fork(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        process = os.fork()
        if process == 0:
            self._become_server(ours, theirs)
        theirs.close()
        ours.settimeout(_PATIENCE)
        self._fork_at = 0.0
        self._forked_at = time.monotonic()
        self._server, self._process = ours, process
        self._watched = os.pidfd_open(process)
        self._loop.add(ours, self._answer_server)
        self._loop.add(self._watched, self._server_ended)

    def _become_server(self, ours: socket.socket, theirs: socket.socket) -> None:
        code = 1
        try:
            self._loop.close()
            for inherited in (ours, self._listening, *self._engines):
                inherited.close()
            for served in self._state.served.values():
                served.forget_namespace()
            serve(self._state, theirs, self._limits)
            code = 0
        except Exception:  # the log is all that is left of it, and the keeper forks another server
            _LOG.exception("the name server failed")
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _server_ended(self) -> None:
        _, status = os.waitpid(self._process, 0)
        self._loop.remove(self._watched)
        os.close(self._watched)
        self._kill_server()
        _LOG.warning("the name server ended (status %d) and is started again", os.waitstatus_to_exitcode(status))
        self._process = -1
        self._fork_at = max(time.monotonic(), self._forked_at + _PAUSE)

    def _kill_server(self) -> None:
        if self._server is not None:
            self._loop.remove(self._server)
            self._server.close()
            self._server = None
        if self._process > 0:
            with suppress(ProcessLookupError):
                os.kill(self._process, signal.SIGKILL)

    def _end_server(self) -> None:
        process = self._process
        self._kill_server()
        if process > 0:
            os.waitpid(process, 0)

    def _answer_server(self) -> None:
        assert self._server is not None
        try:
            answer_request(self._state, self._server)
        except Untrustworthy as reason:
            _LOG.warning("the name server is ended: %s", reason)
            self._kill_server()
