"""UDP: each sender that reaches a published port gets a socket of its own towards the container, while there is room.

Nothing is kept back: a datagram that cannot be passed on at once is lost, as UDP allows.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain

from lamina.network.crowds import Complaints, Recency
from lamina.network.proxy.limits import Limits

_AT_ONCE = 64  # datagrams taken from one socket before others have their turn
_LONGEST = 65535  # bytes of a datagram
Sender = tuple[str | int, ...]  # an address as recvfrom(2) gives it


class Conversations:
    """The conversations of all published UDP ports."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits, complaints: Complaints) -> None:
        self.loop = loop
        self.limits = limits
        self._complaints = complaints
        self._ports: set[DatagramPort] = set()
        self.count = 0

    def serve(self, listening: socket.socket, target: tuple[str, int]) -> DatagramPort:
        """Carry what arrives at a bound socket to `target`, until the port is closed."""
        port = DatagramPort(self, listening, target)
        self._ports.add(port)
        return port

    def forget(self, port: DatagramPort) -> None:
        """Drop a port that was closed."""
        self._ports.discard(port)

    def make_room(self, port: DatagramPort) -> None:
        """Let one more conversation of `port` fit, at the cost of an older one of it or of the fullest port."""
        if len(port) >= self.limits.port_conversations:
            self._complain("a published UDP port has more senders than it may: the oldest are forgotten")
            port.forget_oldest()
        elif self.count >= self.limits.conversations:
            self._complain("the published UDP ports have more senders than they may: the oldest are forgotten")
            max(self._ports, key=len).forget_oldest()

    def complain(self, error: OSError) -> None:
        """Log that a sender could not be served."""
        self._complain(f"a sender at a published UDP port is not served: {error.strerror}")

    def sweep(self, now: float) -> None:
        """Forget the conversations that have been silent for too long."""
        for port in self._ports:
            port.sweep(now)

    def _complain(self, kind: str) -> None:
        self._complaints.add(kind, self.loop.time())


class DatagramPort:
    """One published port. Senders that had an answer are forgotten after those that had none: they may be made up."""

    def __init__(self, everything: Conversations, listening: socket.socket, target: tuple[str, int]) -> None:
        self._all = everything
        self._listening = listening
        self._target = target
        self._backs: dict[Sender, socket.socket] = {}
        self._unanswered: Recency[Sender] = Recency()
        self._answered: Recency[Sender] = Recency()
        everything.loop.add_reader(listening, self._receive)

    def __len__(self) -> int:
        return len(self._backs)

    def close(self) -> None:
        """Stop serving and close all sockets."""
        self._all.loop.remove_reader(self._listening)
        self._listening.close()
        for sender in list(self._backs):
            self._forget(sender)
        self._all.forget(self)

    def forget_oldest(self) -> None:
        """End the conversation that is missed least."""
        oldest = self._unanswered.oldest() or self._answered.oldest()
        if oldest is not None:
            self._forget(oldest[0])

    def sweep(self, now: float) -> None:
        limits = self._all.limits
        for sender in self._silent_since(now - limits.unanswered_conversation, now - limits.idle_conversation):
            self._forget(sender)

    def _silent_since(self, unanswered: float, answered: float) -> Iterator[Sender]:
        return chain(self._unanswered.unused_since(unanswered), self._answered.unused_since(answered))

    def _receive(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                data, sender = self._listening.recvfrom(_LONGEST)
            except OSError:  # nothing more for now
                return
            back = self._backs.get(sender) or self._open(sender)
            if back is not None:
                with suppress(OSError):  # lost
                    back.send(data)
                self._used(sender)

    def _open(self, sender: Sender) -> socket.socket | None:
        self._all.make_room(self)
        family = socket.AF_INET6 if ":" in self._target[0] else socket.AF_INET
        try:
            back = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            self._all.complain(error)
            return None
        try:
            back.connect(self._target)
        except OSError as error:
            back.close()
            self._all.complain(error)
            return None
        self._all.loop.add_reader(back, self._answer, sender, back)
        self._backs[sender] = back
        self._all.count += 1
        return back

    def _answer(self, sender: Sender, back: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                data = back.recv(_LONGEST)
            except OSError:  # nothing more for now, or the container has closed its port
                return
            self._unanswered.discard(sender)
            self._answered.use(sender, self._all.loop.time())
            with suppress(OSError):  # lost
                self._listening.sendto(data, sender)

    def _used(self, sender: Sender) -> None:
        kind = self._answered if sender in self._answered else self._unanswered
        kind.use(sender, self._all.loop.time())

    def _forget(self, sender: Sender) -> None:
        self._unanswered.discard(sender)
        self._answered.discard(sender)
        back = self._backs.pop(sender)
        self._all.loop.remove_reader(back)
        back.close()
        self._all.count -= 1
