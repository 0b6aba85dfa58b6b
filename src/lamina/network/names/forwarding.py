"""Questions about names that no container has: passed on to other servers, and answers passed back unchanged.

Each attempt at a server has a socket of its own, connected, with a random port and ID: what an attacker has to guess.
 A question by UDP is asked by UDP, one by TCP by TCP, so a client that gets a truncated answer tries again by
TCP as it always does. A server that is silent is not waited for: the next one is asked, and the first answer counts.
"""

from __future__ import annotations

import errno
import secrets
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from lamina.network.crowds import Complaints, Recency
from lamina.network.names import message
from lamina.network.names.limits import NameLimits
from lamina.network.names.loop import READ, WRITE, Loop
from lamina.network.names.message import Query
from lamina.network.names.protocol import PORT, Forwarding

Reply = Callable[[bytes], None]
UseSocket = Callable[[socket.socket | None], None]
WantSocket = Callable[[str, str, bool, UseSocket], None]
_TRY_NEXT = (message.SERVER_FAILURE, message.REFUSED)  # as moby: another server may know more
_LENGTH = 2  # bytes in front of a message by TCP (RFC 1035, 4.2.2)


@dataclass(eq=False, slots=True)
class Question:
    """A question that waits for an answer. `key` tells the client's own repetitions from new questions."""

    sandbox: str
    query: Query
    forwarding: Forwarding
    stream: bool
    reply: Reply
    key: object
    id: int = field(default_factory=lambda: secrets.randbits(16))
    servers: list[str] = field(default_factory=list)  # that are still to be asked, the next one last
    attempts: dict[_Attempt, str] = field(default_factory=dict)
    done: bool = False


class Forwarder:
    """All questions that wait. `want_socket` gets sockets inside a sandbox's network namespace, from the keeper."""

    def __init__(self, loop: Loop, limits: NameLimits, complaints: Complaints, want_socket: WantSocket) -> None:
        self._loop = loop
        self._limits = limits
        self._complaints = complaints
        self._want_socket = want_socket
        self._of_sandbox: dict[str, dict[object, Question]] = {}
        self._silent: dict[str, float] = {}  # until when a server is asked last
        self._hurried: Recency[Question] = Recency()  # by when a server was asked last
        self._waiting: Recency[Question] = Recency()  # by when it came

    def __len__(self) -> int:
        return len(self._waiting)

    def ask(self, question: Question) -> None:
        """Forward a question. It is answered in any case, unless its client repeats itself or its sandbox goes."""
        questions = self._of_sandbox.setdefault(question.sandbox, {})
        if question.key in questions:
            return
        if len(questions) >= self._limits.sandbox_questions:
            self._complain("a container has more questions under way than it may: further ones fail")
            question.reply(_failure(question.query))
            return
        if len(self._waiting) >= self._limits.questions:
            self._complain("the containers have more questions under way than they may: the oldest fail")
            most = max(self._of_sandbox.values(), key=len)
            self._fail(next(iter(most.values())))
        questions[question.key] = question
        self._waiting.use(question, self._loop.now)
        question.servers = self._in_order(question.forwarding.servers)
        self._ask_next(question)

    def forget(self, sandbox: str) -> None:
        """Drop the questions of a sandbox that goes."""
        for question in list(self._of_sandbox.get(sandbox, {}).values()):
            self._end(question)

    def sweep(self) -> None:
        """Ask further servers for questions that have waited, and fail those that have waited for too long."""
        for question in self._hurried.unused_since(self._loop.now - self._limits.next_server):
            for server in question.attempts.values():
                self._silent[server] = self._loop.now + self._limits.silent_server
            self._hurried.discard(question)
            self._ask_next(question, patient=True)
        for question in self._waiting.unused_since(self._loop.now - self._limits.answer):
            self._fail(question)

    def _in_order(self, servers: Iterable[str]) -> list[str]:
        in_order = sorted(servers, key=lambda server: self._silent.get(server, 0.0) > self._loop.now)
        return in_order[::-1]

    def _ask_next(self, question: Question, *, patient: bool = False) -> None:
        """Ask the next server. Without one the question fails, unless others may still answer."""
        if not question.servers:
            if not question.attempts and not patient:
                self._fail(question)
            return
        server = question.servers.pop()
        self._hurried.use(question, self._loop.now)
        attempt = (_StreamAttempt if question.stream else _DatagramAttempt)(self, self._loop, question, server)
        question.attempts[attempt] = server
        if question.forwarding.inside:
            self._want_socket(question.sandbox, server, question.stream, attempt.begin)
        else:
            attempt.begin(_open(server, question.stream))

    def answered(self, question: Question, server: str, raw: bytes, code: int) -> None:
        """Take a server's answer."""
        self._silent.pop(server, None)
        if code in _TRY_NEXT:
            self._ask_next(question)
            return
        self._end(question)
        question.reply(message.with_id(raw, question.query.id))

    def failed(self, question: Question) -> None:
        """Note that an attempt has failed, and ask the next server."""
        if not question.done:
            self._ask_next(question)

    def _fail(self, question: Question) -> None:
        self._end(question)
        question.reply(_failure(question.query))

    def _end(self, question: Question) -> None:
        if question.done:
            return
        question.done = True
        for attempt in list(question.attempts):
            attempt.close()
        self._waiting.discard(question)
        self._hurried.discard(question)
        questions = self._of_sandbox[question.sandbox]
        questions.pop(question.key, None)
        if not questions:
            del self._of_sandbox[question.sandbox]

    def _complain(self, sentence: str) -> None:
        self._complaints.add(sentence, self._loop.now)


class _Attempt:
    """One server that is asked one question."""

    def __init__(self, forwarder: Forwarder, loop: Loop, question: Question, server: str) -> None:
        self._forwarder = forwarder
        self._loop = loop
        self._question = question
        self._server = server
        self._socket: socket.socket | None = None
        self._asked = message.with_id(question.query.raw, question.id)

    def begin(self, connection: socket.socket | None) -> None:
        """Ask by a socket that is connected, or about to be; None when there is none to be had."""
        if self._question.done or connection is None:
            if connection is not None:
                connection.close()
            self._give_up()
            return
        self._socket = connection
        self._start(connection)

    def _start(self, connection: socket.socket) -> None:
        raise AssertionError("each kind of attempt begins in its own way")

    def close(self) -> None:
        """End the attempt; a second call does nothing."""
        self._question.attempts.pop(self, None)
        if self._socket is not None:
            self._loop.remove(self._socket)
            self._socket.close()
            self._socket = None

    def _take(self, raw: bytes) -> bool:
        """Return whether `raw` is the answer."""
        code = message.code_of_answer(self._question.query, self._question.id, raw)
        if code is None:
            return False
        self.close()
        self._forwarder.answered(self._question, self._server, raw, code)
        return True

    def _give_up(self) -> None:
        self.close()
        self._forwarder.failed(self._question)


class _DatagramAttempt(_Attempt):
    def _start(self, connection: socket.socket) -> None:
        try:
            connection.send(self._asked)
        except OSError:
            self._give_up()
            return
        self._loop.add(connection, partial(self._receive, connection))

    def _receive(self, connection: socket.socket) -> None:
        try:
            self._take(connection.recv(message.LONGEST))  # what is no answer is ignored: anybody may have sent it
        except BlockingIOError:
            return
        except OSError:  # nobody listens there
            self._give_up()


class _StreamAttempt(_Attempt):
    _sent = 0
    _read = b""

    def _start(self, connection: socket.socket) -> None:
        self._asked = len(self._asked).to_bytes(_LENGTH, "big") + self._asked
        self._loop.add(connection, partial(self._write, connection), WRITE)

    def _write(self, connection: socket.socket) -> None:
        try:
            self._sent += connection.send(self._asked[self._sent :])
        except BlockingIOError:
            return
        except OSError:
            self._give_up()
            return
        if self._sent == len(self._asked):
            self._loop.replace(connection, partial(self._receive, connection), READ)

    def _receive(self, connection: socket.socket) -> None:
        try:
            piece = connection.recv(_LENGTH + message.LONGEST - len(self._read))
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        self._read += piece
        whole = _LENGTH + int.from_bytes(self._read[:_LENGTH], "big")
        if len(self._read) >= max(whole, _LENGTH + 1):
            if not self._take(self._read[_LENGTH:whole]):
                self._give_up()
        elif not piece:
            self._give_up()


def _open(server: str, stream: bool) -> socket.socket | None:
    """Return a socket that is connected to a server, or about to be; None where that cannot be."""
    with suppress(OSError):  # the next server is asked then
        return open_socket(server, stream)
    return None


def open_socket(server: str, stream: bool) -> socket.socket:
    """Return a socket of the present network namespace that is connected to a server's address, or about to be.

    Raise OSError.
    """
    kind = socket.SOCK_STREAM if stream else socket.SOCK_DGRAM
    # As bytes: for text Python would load a codec, which this process may have no permission to read any more.
    family, _, _, _, address = socket.getaddrinfo(server.encode(), PORT, type=kind, flags=socket.AI_NUMERICHOST)[0]
    connection = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    refused = connection.connect_ex(address)
    if refused not in (0, errno.EINPROGRESS):
        connection.close()
        raise OSError(refused, "the server cannot be reached")
    return connection


def _failure(query: Query) -> bytes:
    return message.write_failure(query.raw, message.SERVER_FAILURE, query.end)
