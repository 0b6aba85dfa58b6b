"""Clients that ask by TCP: each message has its length in front (RFC 1035, 4.2.2), and one connection asks many."""

from __future__ import annotations

import socket
from collections.abc import Callable

from lamina.network.crowds import Recency
from lamina.network.names.limits import NameLimits
from lamina.network.names.loop import READ, WRITE, Loop
from lamina.network.names.message import LONGEST_QUERY

Reply = Callable[[bytes], None]
Take = Callable[[bytes, Reply, object], bool]  # gets a question, and returns whether it will be answered
_LENGTH = 2
_AT_ONCE = 16  # connections accepted of one sandbox before others have their turn


class Streams:
    """The connections of all sandboxes."""

    def __init__(self, loop: Loop, limits: NameLimits) -> None:
        self.loop = loop
        self.limits = limits
        self.used: Recency[Connection] = Recency()

    def __len__(self) -> int:
        return len(self.used)

    def serve(self, listening: socket.socket, take: Take) -> StreamPort:
        """Hand what is asked at a listening socket to `take`, until the port is closed."""
        return StreamPort(self, listening, take)

    def sweep(self) -> None:
        """End connections that have been silent for too long."""
        for connection in self.used.unused_since(self.loop.now - self.limits.idle_connection):
            connection.end()


class StreamPort:
    """The connections of one sandbox. When it has too many, the one that was silent for longest makes room."""

    def __init__(self, everything: Streams, listening: socket.socket, take: Take) -> None:
        self._all = everything
        self._listening = listening
        self.take = take
        self.used: Recency[Connection] = Recency()
        everything.loop.add(listening, self._accept)

    def close(self) -> None:
        """End all connections, and close the socket."""
        self._all.loop.remove(self._listening)
        self._listening.close()
        while (oldest := self.used.oldest()) is not None:
            oldest[0].end()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                accepted, _ = self._listening.accept()
            except OSError:  # nothing more for now, or no room in the process: the next round tries again
                return
            accepted.setblocking(False)
            self._make_room()
            Connection(self._all, self, accepted)

    def _make_room(self) -> None:
        limits = self._all.limits
        crowded = self.used if len(self.used) >= limits.sandbox_connections else self._all.used
        if crowded is self.used or len(crowded) >= limits.connections:
            oldest = crowded.oldest()
            assert oldest is not None
            oldest[0].end()


class Connection:
    """One client. While it has as many questions under way as it may, or does not read answers, it is not read from."""

    def __init__(self, everything: Streams, port: StreamPort, accepted: socket.socket) -> None:
        self._all = everything
        self._port = port
        self._socket = accepted
        self._input = bytearray()
        self._output = bytearray()
        self._questions = 0
        self._asked = 0  # of all time: what tells questions of a connection apart
        self._at_end = False
        self._taking = False
        everything.loop.add(accepted, self._read)
        self._use()

    def end(self) -> None:
        """Close the connection; a second call does nothing."""
        if self._socket.fileno() < 0:
            return
        self._all.loop.remove(self._socket)
        self._socket.close()
        self._all.used.discard(self)
        self._port.used.discard(self)

    def _use(self) -> None:
        self._all.used.use(self, self._all.loop.now)
        self._port.used.use(self, self._all.loop.now)

    def _read(self) -> None:
        if self._at_end:  # reading is over, so this is the kernel telling of a connection that is gone for good
            self.end()
            return
        try:
            piece = self._socket.recv(_LENGTH + LONGEST_QUERY - len(self._input))
        except BlockingIOError:
            return
        except OSError:
            self.end()
            return
        self._use()
        self._input += piece
        self._at_end = not piece
        self._go_on()

    def _go_on(self) -> None:
        """Take the questions that are there, as many as may be under way, and wait for what is to come next."""
        self._taking = True
        while self._has_room() and (raw := self._next()) is not None:
            self._questions += 1
            self._asked += 1
            if not self._port.take(raw, self._answer, (id(self), self._asked)):
                self.end()
        self._taking = False
        self._wait()

    def _has_room(self) -> bool:
        few = self._questions < self._all.limits.connection_questions
        return few and not self._output and self._socket.fileno() >= 0

    def _next(self) -> bytes | None:
        """Return the next question of the input, None where it is not there as a whole."""
        whole = _LENGTH + int.from_bytes(self._input[:_LENGTH], "big")
        if len(self._input) < max(whole, _LENGTH + 1):
            return None
        raw = bytes(self._input[_LENGTH:whole])
        del self._input[:whole]
        return raw

    def _wait(self) -> None:
        if self._socket.fileno() < 0:
            return
        too_long = int.from_bytes(self._input[:_LENGTH], "big") > LONGEST_QUERY
        if too_long or (self._at_end and not self._questions and not self._output):
            self.end()
        elif self._output:
            self._all.loop.replace(self._socket, self._write, WRITE)
        else:
            self._all.loop.replace(self._socket, self._read, 0 if self._at_end or not self._has_room() else READ)

    def _answer(self, raw: bytes) -> None:
        if self._socket.fileno() < 0:
            return  # the client is gone
        self._questions -= 1
        self._output += len(raw).to_bytes(_LENGTH, "big") + raw
        self._flush()
        if not self._taking:
            self._go_on()

    def _write(self) -> None:
        self._flush()
        self._go_on()

    def _flush(self) -> None:
        try:
            sent = self._socket.send(self._output)
        except BlockingIOError:
            return
        except OSError:
            self.end()
            return
        del self._output[:sent]
        self._use()
