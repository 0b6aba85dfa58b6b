"""Carries connections from sockets of the host to containers, for what the kernel's address translation does not
reach: IPv6 host addresses of containers that have only IPv4. One thread with an event loop serves all of them.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, cast

_IDLE = 90.0  # seconds after which a silent UDP conversation is forgotten, as in Docker's proxy
_CHUNK = 1 << 16


class Proxy:
    """Serves listening sockets. `close` ends everything and may be called twice."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._served: dict[int, asyncio.Server | asyncio.DatagramTransport] = {}

    def serve(self, listening: socket.socket, target: tuple[str, int]) -> None:
        """Carries what arrives at `listening` (TCP or UDP, IPv4 or IPv6) to `target`, until `stop`."""
        stream = listening.type == socket.SOCK_STREAM
        self._run(self._serve_tcp(listening, target) if stream else self._serve_udp(listening, target))

    def stop(self, listening: socket.socket) -> None:
        """Ends the service of a socket and closes it. Streams under way run on until one side ends them."""
        if self._loop is not None:
            self._run(self._stop(listening.fileno()))
        listening.close()

    def close(self) -> None:
        with self._lock:
            loop, thread, self._loop = self._loop, self._thread, None
        if loop is not None and thread is not None:
            asyncio.run_coroutine_threadsafe(self._end(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="lamina-proxy", daemon=True)
                self._thread.start()
            loop = self._loop
        asyncio.run_coroutine_threadsafe(work, loop).result()

    async def _serve_tcp(self, listening: socket.socket, target: tuple[str, int]) -> None:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await _carry(reader, writer, target)

        self._served[listening.fileno()] = await asyncio.start_server(connected, sock=listening.dup(), backlog=1024)

    async def _serve_udp(self, listening: socket.socket, target: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Front(target), sock=listening.dup())
        self._served[listening.fileno()] = transport

    async def _stop(self, descriptor: int) -> None:
        served = self._served.pop(descriptor, None)
        if served is not None:
            served.close()

    async def _end(self) -> None:
        for served in self._served.values():
            served.close()
        self._served.clear()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: tuple[str, int]) -> None:
    try:
        far_reader, far_writer = await asyncio.open_connection(*target)
    except OSError:
        writer.close()
        return
    try:
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
    finally:
        far_writer.close()
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # one side went away
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


class _Front(asyncio.DatagramProtocol):
    """The host's side of a UDP port: one socket towards the container for each sender."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._backs: dict[Any, _Back] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        back = self._backs.get(addr)
        if back is None:
            back = self._backs[addr] = _Back(self, addr)
            made = asyncio.get_running_loop().create_datagram_endpoint(lambda: back, remote_addr=self._target)
            back.opening = asyncio.ensure_future(made)
        back.send(data)

    def forget(self, addr: Any) -> None:
        self._backs.pop(addr, None)

    def connection_lost(self, exc: Exception | None) -> None:
        for back in list(self._backs.values()):
            back.end()


class _Back(asyncio.DatagramProtocol):
    """One sender's socket towards the container; ends after a while of silence."""

    def __init__(self, front: _Front, sender: Any) -> None:
        self._front = front
        self._sender = sender
        self._waiting: list[bytes] = []
        self._transport: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.opening: asyncio.Future[Any] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # CPython's own transports are not subclasses of DatagramTransport, though they have its methods.
        self._transport = cast(asyncio.DatagramTransport, transport)
        for data in self._waiting:
            self._transport.sendto(data)
        self._waiting.clear()

    def send(self, data: bytes) -> None:
        self._touch()
        if self._transport is None:
            self._waiting.append(data)
        else:
            self._transport.sendto(data)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._touch()
        self._front.transport.sendto(data, self._sender)

    def _touch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(_IDLE, self.end)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.close()
        self._front.forget(self._sender)
