"""TCP: each connection to a published port gets one to the container while there is room; others wait in the kernel."""

from __future__ import annotations

import asyncio
import errno
import socket
from contextlib import suppress

from lamina.network.crowds import Complaints, Recency
from lamina.network.proxy.limits import Limits

_AT_ONCE = 64  # connections accepted at one port before others have their turn
_CHUNK = 32 << 10  # bytes: all that is ever kept of one direction of a connection
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
# A peer that vanished is noticed after two minutes, as tcp(7) describes.
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))


class Connections:
    """The connections of all published TCP ports."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits, complaints: Complaints) -> None:
        self.loop = loop
        self.limits = limits
        self._complaints = complaints
        self._ports: set[StreamPort] = set()
        self._full: set[StreamPort] = set()
        self.connecting: Recency[Connection] = Recency()
        self.count = 0

    def serve(self, listening: socket.socket, target: tuple[str, int]) -> StreamPort:
        """Carry what arrives at a listening socket to `target`, until the port is closed."""
        port = StreamPort(self, listening, target)
        self._ports.add(port)
        return port

    def forget(self, port: StreamPort) -> None:
        """Drop a port that was closed."""
        self._ports.discard(port)
        self._full.discard(port)

    def has_room(self, port: StreamPort) -> bool:
        """Return whether `port` may have one more connection; if need be a silent one gives way."""
        if len(port.used) >= self.limits.port_connections:
            crowded = port
            kind = "a published TCP port has as many connections as it may: others wait"
        elif self.count >= self.limits.connections:
            crowded = min(self._ports, key=lambda other: (other.used.oldest() or (None, float("inf")))[1])
            kind = "the published TCP ports have as many connections as they may: others wait"
        else:
            return True
        oldest = crowded.used.oldest()
        if oldest is not None and oldest[1] <= self.loop.time() - self.limits.yielding_connection:
            oldest[0].end()
            return True
        self.complain(kind)
        return False

    def pause(self, port: StreamPort) -> None:
        """Leave new connections of `port` in the kernel's queue until one ends, or for a second."""
        self.loop.remove_reader(port.listening)
        self._full.add(port)

    def resume(self) -> None:
        """Accept again at all ports that were paused."""
        for port in self._full:
            self.loop.add_reader(port.listening, port.accept)
        self._full.clear()

    def complain(self, kind: str) -> None:
        """Log a sentence, or count it where it has just been logged."""
        self._complaints.add(kind, self.loop.time())

    def sweep(self, now: float) -> None:
        """End connections that were never made or have been silent for too long, and accept again."""
        for connection in self.connecting.unused_since(now - self.limits.connect):
            connection.end()
        for port in self._ports:
            for connection in port.used.unused_since(now - self.limits.idle_connection):
                connection.end()
        self.resume()


class StreamPort:
    """One published port with its connections, by their last use."""

    def __init__(self, everything: Connections, listening: socket.socket, target: tuple[str, int]) -> None:
        self._all = everything
        self._target = target
        self.listening = listening
        self.used: Recency[Connection] = Recency()
        everything.loop.add_reader(listening, self.accept)

    def close(self) -> None:
        """Stop serving. Connections run on until one side ends them, or they have been silent for long."""
        self._all.loop.remove_reader(self.listening)
        self.listening.close()
        if not self.used:
            self._all.forget(self)

    def accept(self) -> None:
        """Take connections from the kernel's queue, as many as there is room for."""
        for _ in range(_AT_ONCE):
            if not self._all.has_room(self):
                self._all.pause(self)
                return
            try:
                near, _ = self.listening.accept()
            except BlockingIOError:
                return
            except OSError as error:  # accept(2): this connection failed, or there is no room in the kernel
                self._all.complain(f"a connection to a published TCP port is not accepted: {error.strerror}")
                if error.errno in _NO_ROOM:
                    self._all.pause(self)
                    return
                continue
            near.setblocking(False)
            self._connect(near)

    def _connect(self, near: socket.socket) -> None:
        family = socket.AF_INET6 if ":" in self._target[0] else socket.AF_INET
        try:
            far = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            near.close()
            self._all.complain(f"a connection to a published TCP port is not carried: {error.strerror}")
            return
        connection = Connection(self._all, self, near, far)
        refused = far.connect_ex(self._target)
        if refused not in (0, errno.EINPROGRESS):
            connection.end()


class Connection:
    """A client's connection and the one to the container."""

    def __init__(self, everything: Connections, port: StreamPort, near: socket.socket, far: socket.socket) -> None:
        self._all = everything
        self._port = port
        self._sockets = (near, far)
        self._open = 2  # directions that have not seen their end
        for end in self._sockets:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in _KEEPALIVE:
                end.setsockopt(socket.IPPROTO_TCP, option, value)
        everything.count += 1
        now = everything.loop.time()
        port.used.use(self, now)
        everything.connecting.use(self, now)
        everything.loop.add_writer(far, self._connected)

    def _connected(self) -> None:
        near, far = self._sockets
        self._all.loop.remove_writer(far)
        self._all.connecting.discard(self)
        if far.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.end()
            return
        for source, sink in ((near, far), (far, near)):
            self._all.loop.add_reader(source, _Direction(self._all.loop, self, source, sink).read)

    def used(self) -> None:
        """Note that bytes were carried."""
        self._port.used.use(self, self._all.loop.time())

    def finish(self) -> None:
        """Note that one direction is at its end; the other may go on for long."""
        self._open -= 1
        if not self._open:
            self.end()

    def end(self) -> None:
        """End both connections at once; a second call does nothing."""
        if self not in self._port.used:
            return
        self._port.used.discard(self)
        self._all.connecting.discard(self)
        for end in self._sockets:
            self._all.loop.remove_reader(end)
            self._all.loop.remove_writer(end)
            end.close()
        self._all.count -= 1
        self._all.resume()
        if self._port.listening.fileno() < 0 and not self._port.used:
            self._all.forget(self._port)


class _Direction:
    """One way of a connection. Nothing is read while the sink has not taken what was read before."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, connection: Connection, source: socket.socket, sink: socket.socket
    ) -> None:
        self._loop = loop
        self._connection = connection
        self._source = source
        self._sink = sink
        self._rest = memoryview(b"")

    def read(self) -> None:
        """Carry what the source has."""
        try:
            data = self._source.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self._connection.end()
            return
        if data:
            self._connection.used()
            self._rest = memoryview(data)
            self._flush()
        else:
            self._loop.remove_reader(self._source)
            with suppress(OSError):  # the sink is gone; its own direction ends the connection
                self._sink.shutdown(socket.SHUT_WR)
            self._connection.finish()

    def _flush(self) -> None:
        try:
            sent = self._sink.send(self._rest)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._connection.end()
            return
        waited = self._loop.remove_writer(self._sink)
        self._rest = self._rest[sent:]
        if self._rest:
            self._loop.remove_reader(self._source)
            self._loop.add_writer(self._sink, self._flush)
        elif waited:
            self._connection.used()
            self._loop.add_reader(self._source, self.read)
