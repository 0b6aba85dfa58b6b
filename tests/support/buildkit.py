"""A client of BuildKit's protocol that says what a test wants: its session's methods are the test's own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from lamina.daemon.buildkit.definition import digest_of
from lamina.daemon.buildkit.http2 import Http2
from lamina.daemon.buildkit.messages import ops
from lamina.daemon.buildkit.messages.control import Definition
from lamina.daemon.buildkit.messages.session import (
    PACKET_DATA,
    PACKET_END,
    PACKET_REQUEST,
    PACKET_STAT,
    Packet,
    Piece,
    Stat,
)
from lamina.daemon.buildkit.rpc import Call, Caller, Method, Outgoing, Server
from support.daemons import Daemon
from support.programs import CLIENT_20, need

DIFF_COPY = "/moby.filesync.v1.FileSync/DiffCopy"
DOCKERFILE = b"FROM scratch\nCOPY . /\n"


def build_with_docker(
    daemon: Daemon, *arguments: str, cwd: Path | None = None, stdin: bytes = b"", check: bool = True, client: str = ""
) -> subprocess.CompletedProcess[bytes]:
    """Run `docker build` with BuildKit's protocol and plain progress."""
    environment = {
        **os.environ,
        "DOCKER_BUILDKIT": "1",
        "DOCKER_HOST": daemon.host,
        "DOCKER_CONFIG": str(daemon.folder),
    }
    command = [need(client or CLIENT_20), "build", "--progress", "plain", *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, env=environment, cwd=cwd, timeout=120, check=False)
    assert not check or done.returncode == 0, f"{arguments}:\n{done.stdout.decode()}{done.stderr.decode()}"
    return done


class _Connection(asyncio.Protocol):
    """A connection that becomes HTTP/2 once the daemon has agreed."""

    def __init__(self, head: bytes, methods: Mapping[str, Method] | None) -> None:
        """With `methods` the daemon is the one that calls, without them it is called."""
        self._head = head
        self._methods = methods
        self._answer = b""
        self.session: Http2 | None = None
        self.agreed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self._head:
            transport.write(self._head)
        else:
            self._begin()

    def data_received(self, data: bytes) -> None:
        if self.session is None:
            self._answer += data
            head, end, data = self._answer.partition(b"\r\n\r\n")
            if not end:
                return
            assert b" 101 " in head, head
            self._begin()
        assert self.session is not None
        self.session.feed(data)

    def _begin(self) -> None:
        self.session = Http2(self.transport, None if self._methods is None else Server(self._methods).accept)
        self.agreed.set()

    def connection_lost(self, error: Exception | None) -> None:
        if self.session is not None:
            self.session.lost()
        self.agreed.set()  # there is nothing to wait for any more


@asynccontextmanager
async def grpc(socket: Path, *, upgrade: bool = True) -> AsyncIterator[Caller]:
    """A client of the daemon's services. Without `upgrade` the connection speaks HTTP/2 from its beginning."""
    head = b"POST /grpc HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n"
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_unix_connection(
        lambda: _Connection(head if upgrade else b"", None), str(socket)
    )
    await asyncio.wait_for(protocol.agreed.wait(), 30)
    assert protocol.session is not None
    try:
        yield Caller(protocol.session)
    finally:
        transport.abort()


class _Pipe:
    """Send what a tunnelled session writes as messages of its call."""

    def __init__(self, call: Outgoing) -> None:
        self._call = call
        self.pieces: asyncio.Queue[bytes] = asyncio.Queue()

    def write(self, data: bytes) -> None:
        self.pieces.put_nowait(data)

    def close(self) -> None:
        self._call.cancel()

    def is_closing(self) -> bool:
        return False

    async def send(self) -> None:
        while True:
            await self._call.send(Piece(await self.pieces.get()))


@asynccontextmanager
async def tunnelled(caller: Caller, id: str, methods: Mapping[str, Method]) -> AsyncIterator[None]:
    """A session with this ID inside a call, as clients without a door of its own have it."""
    exposed = [("x-docker-expose-session-grpc-method", path) for path in methods]
    call = caller.open("/moby.buildkit.v1.Control/Session", [("x-docker-expose-session-uuid", id), *exposed])
    pipe = _Pipe(call)
    session = Http2(pipe, Server(methods).accept)

    async def receive() -> None:
        while batch := await call.receive_batch():
            for raw in batch:
                session.feed(Piece.decode(raw).data)

    tasks = [asyncio.ensure_future(receive()), asyncio.ensure_future(pipe.send())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        call.cancel()


async def build(
    socket: Path,
    methods: Mapping[str, Method],
    query: str = "",
    *,
    vanish: asyncio.Event | None = None,
    shared_key: str = "",
) -> list[Mapping[str, object]]:
    """Build over a session that answers with `methods`, and return the lines of the answer.

    When `vanish` is set both connections are cut, and there are no lines. Sessions with the same `shared_key` offer
    the same folder.
    """
    id = uuid.uuid4().hex
    exposed = "".join(f"X-Docker-Expose-Session-Grpc-Method: {path}\r\n" for path in methods)
    head = f"POST /session HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n{exposed}"
    head += f"X-Docker-Expose-Session-Sharedkey: {shared_key}\r\n" if shared_key else ""
    head += f"X-Docker-Expose-Session-Uuid: {id}\r\nContent-Length: 0\r\n\r\n"
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_unix_connection(lambda: _Connection(head.encode(), methods), str(socket))
    await asyncio.wait_for(protocol.agreed.wait(), 30)
    reader, writer = await asyncio.open_unix_connection(str(socket))
    line = f"POST /build?version=2&remote=client-session&session={id}{query} HTTP/1.1\r\n"
    writer.write(f"{line}Host: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())
    try:
        if vanish is not None:
            await asyncio.wait_for(vanish.wait(), 30)
            return []
        answer = await asyncio.wait_for(reader.read(), 60)
    finally:
        transport.abort()
        writer.transport.abort()
    body = answer.partition(b"\r\n\r\n")[2]
    return [json.loads(line) for line in body.splitlines() if line.startswith(b"{")]


def error_of(lines: Sequence[Mapping[str, object]]) -> str:
    """The error of a build that failed, "" of one that did not."""
    return str(lines[-1].get("error", lines[-1].get("message", "")))


def sharing(
    listing: Sequence[Stat], contents: Mapping[str, bytes], dockerfile: bytes = DOCKERFILE, ignore: bytes = b""
) -> dict[str, Method]:
    """Methods that offer a Dockerfile, an ignore file unless it is empty, and a listing that need not make sense."""

    async def diff_copy(call: Call) -> None:
        if call.metadata("dir-name") == ["dockerfile"]:
            await send(call, [Stat("Dockerfile", 0o644, size=len(dockerfile))], {"Dockerfile": dockerfile})
        elif call.metadata("followpaths"):
            found = [Stat(".dockerignore", 0o644, size=len(ignore))] if ignore else []
            await send(call, found, {".dockerignore": ignore})
        else:
            await send(call, listing, contents)

    return {DIFF_COPY: diff_copy}


async def send(call: Call, listing: Sequence[Stat], contents: Mapping[str, bytes]) -> None:
    """The sender's part of fsutil's protocol."""
    for stat in listing:
        await call.send(Packet(PACKET_STAT, stat=stat))
    await call.send(Packet(PACKET_STAT))
    while batch := await call.receive_batch():
        for packet in map(Packet.decode, batch):
            if packet.type == PACKET_REQUEST:
                path = listing[packet.id].path
                if path in contents:
                    await call.send(Packet(PACKET_DATA, id=packet.id, data=contents[path]))
                await call.send(Packet(PACKET_DATA, id=packet.id))
            elif packet.type == PACKET_END:
                await call.send(Packet(PACKET_END))


def defined(*operations: ops.Op, metadata: Mapping[int, ops.OpMetadata] | None = None) -> Definition:
    """A graph of operations, of which the last one is the result. `metadata` is by their place."""
    raw = [operation.encode() for operation in operations]
    end = ops.Op((ops.Input(digest_of(raw[-1])),)).encode()
    described = {digest_of(raw[place]): told.encode() for place, told in (metadata or {}).items()}
    return Definition((*raw, end), {digest_of(end): b"", **described})
