"""The process that answers containers: it reads what strangers send, so it has no privileges and a bound on everything.

Questions about names of the asker's networks are answered from the table. All others are forwarded, see `forwarding`.
"""

from __future__ import annotations

import logging
import socket
import traceback
from contextlib import suppress
from functools import partial
from typing import Any

from lamina.linux.processes import end_with_parent, give_up_privileges, name_process
from lamina.network.crowds import Complaints
from lamina.network.names import message
from lamina.network.names.answers import empty_answer, local_answer
from lamina.network.names.forwarding import Forwarder, Question, UseSocket
from lamina.network.names.limits import NameLimits
from lamina.network.names.loop import Loop
from lamina.network.names.message import Malformed
from lamina.network.names.protocol import Forwarding, receive, send
from lamina.network.names.state import Served, State
from lamina.network.names.streams import Reply, Streams

_LOG = logging.getLogger("lamina.network.names")


def serve(state: State, control: socket.socket, limits: NameLimits) -> None:
    """Answer for the sandboxes of `state`, and follow the keeper's messages on `control`, until that closes."""
    name_process("lamina-names")
    give_up_privileges()
    end_with_parent()
    Server(state, control, limits).run()


class Asker:
    """One sandbox: its sockets, and how much of its rate is used up in this tick."""

    def __init__(self, server: Server, served: Served) -> None:
        self._server = server
        self.served = served
        self._taken = 0
        self._paused = False
        served.udp.setblocking(False)
        served.tcp.setblocking(False)
        server.loop.add(served.udp, self._receive)
        self._streams = server.streams.serve(served.tcp, self._take_stream)

    def close(self) -> None:
        """Stop answering."""
        self._server.loop.remove(self.served.udp)
        self._server.spent.discard(self)
        self._streams.close()

    def refill(self) -> None:
        """Let the sandbox ask on after a tick."""
        self._taken = 0
        if self._paused:
            self._paused = False
            self._server.loop.add(self.served.udp, self._receive)

    def _receive(self) -> None:
        limits = self._server.limits
        for _ in range(limits.turn):
            try:
                raw, client = self.served.udp.recvfrom(message.LONGEST_QUERY + 1)
            except OSError:  # nothing more for now
                return
            self._taken += 1
            self._server.take(self.served, raw, partial(self._send, client), (client, raw), stream=False)
        self._server.spent.add(self)
        if self._taken >= limits.sandbox_rate:
            self._server.loop.remove(self.served.udp)
            self._paused = True

    def _send(self, client: tuple[str, int], answer: bytes) -> None:
        with suppress(OSError):  # lost, as UDP allows; the client asks again
            self.served.udp.sendto(answer, client)

    def _take_stream(self, raw: bytes, reply: Reply, key: object) -> bool:
        return self._server.take(self.served, raw, reply, key, stream=True)


class Server:
    """Askers, the table, and the questions that wait for answers from outside."""

    def __init__(self, state: State, control: socket.socket, limits: NameLimits) -> None:
        self.loop = Loop(self._failed)
        self.limits = limits
        self.spent: set[Asker] = set()
        self.streams = Streams(self.loop, limits)
        self._state = state
        self._control = control
        self._complaints = Complaints(_LOG, limits.quiet)
        self._forwarder = Forwarder(self.loop, limits, self._complaints, self._want_socket)
        self._wanted: dict[int, UseSocket] = {}
        self._number = 0
        self._refilled = 0.0
        control.setblocking(False)
        self.loop.add(control, self._follow)
        self._askers = {id: Asker(self, served) for id, served in state.served.items()}

    def run(self) -> None:
        """Serve until the keeper closes the control socket."""
        while not self.loop.ended:
            busy = self.spent or len(self._forwarder) or len(self.streams)
            self.loop.run_once(self.limits.tick if busy else None)
            if self.loop.now - self._refilled >= self.limits.tick:
                self._tick()

    def _tick(self) -> None:
        self._refilled = self.loop.now
        self._forwarder.sweep()
        self.streams.sweep()
        self._complaints.sweep(self.loop.now)
        for asker in self.spent:
            asker.refill()
        self.spent.clear()

    def take(self, served: Served, raw: bytes, reply: Reply, key: object, *, stream: bool) -> bool:
        """Answer what a sandbox sent, now or later. Return False for what gets no answer."""
        try:
            query = message.parse_query(raw)
        except Malformed as error:
            if error.code is not None:
                reply(message.write_failure(raw, error.code))
            return error.code is not None
        self._follow()  # what the engine changed before the question was asked counts
        limit = message.LONGEST if stream else query.size
        answer = local_answer(self._state.table, served.sandbox.id, query, limit)
        if answer is not None:
            reply(answer)
        elif query.type in (message.A, message.AAAA) and served.sandbox.forwarding.ndots and "." not in query.name:
            reply(empty_answer(query))
        else:
            forwarding = self._reachable(served)
            self._forwarder.ask(Question(served.sandbox.id, query, forwarding, stream, reply, key))
        return True

    def _failed(self, error: Exception) -> None:
        """Log a bug with the place it was met at, but not for each of the packets that meet it."""
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{frame.filename}:{frame.lineno}"
        self._complaints.add(f"the name server failed at {place}: {type(error).__name__}", self.loop.now)

    def _reachable(self, served: Served) -> Forwarding:
        """Return the servers to forward to. A sandbox without a way out has only those inside its network (as moby)."""
        forwarding = served.sandbox.forwarding
        if forwarding.inside or self._state.table.reaches_outside(served.sandbox.id):
            return forwarding
        return Forwarding()

    def _follow(self) -> None:
        """Take the keeper's messages. Each packet asks for this, so no buffer for one is made before one is there."""
        while not self.loop.ended:
            try:
                self._control.recv(1, socket.MSG_PEEK)
            except BlockingIOError:
                return
            received = receive(self._control)
            if received is None:
                self.loop.ended = True
            else:
                self._obey(*received)

    def _obey(self, told: dict[str, Any], descriptors: list[int]) -> None:
        if told["op"] == "socket":
            use = self._wanted.pop(told["number"])
            use(socket.socket(fileno=descriptors[0]) if descriptors else None)
            return
        if told["op"] in ("serve", "unserve") and told["id"] in self._askers:
            self._askers.pop(told["id"]).close()
            self._forwarder.forget(told["id"])
        self._state.apply(told, descriptors)
        if told["op"] == "serve":
            self._askers[told["id"]] = Asker(self, self._state.served[told["id"]])

    def _want_socket(self, sandbox: str, server: str, stream: bool, use: UseSocket) -> None:
        self._number += 1
        self._wanted[self._number] = use
        request = {"op": "socket", "number": self._number, "sandbox": sandbox, "server": server, "stream": stream}
        try:
            send(self._control, request)
        except OSError:  # the keeper is overwhelmed
            del self._wanted[self._number]
            use(None)
