"""What flows out of containers and into them: attach, wait, logs, stats, and files as tars."""

from __future__ import annotations

import asyncio
import base64
import re
import socket
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from functools import partial
from typing import IO, cast
from urllib.parse import quote_plus

import msgspec
from aiohttp import web

from lamina.cancellation import Cancellation
from lamina.containers.archive import PathStat
from lamina.containers.attach import parse_keys
from lamina.containers.container import Container
from lamina.containers.containers import Containers
from lamina.daemon.http.admission import Kind
from lamina.daemon.http.call import Call, dump, empty, json_reply, reply
from lamina.daemon.http.direct import bytes_response
from lamina.daemon.http.hijack import FRAMED, RAW, hijack
from lamina.daemon.http.routing import Route
from lamina.daemon.http.stream import Sink, feed_response
from lamina.daemon.http.upload import receiving
from lamina.daemon.http.websocket import check_websocket, converse
from lamina.daemon.render.container import path_stat
from lamina.daemon.render.stats import stats as render_stats
from lamina.daemon.sampling import Samplers
from lamina.errors import InvalidInput
from lamina.formats.document import encode_json
from lamina.formats.frames import STDERR, STDOUT, frame, unframer
from lamina.formats.times import format_time
from lamina.types.run_results import LogRecord

_PIECE = 1 << 17  # bytes
_TAIL = re.compile("[0-9]{1,18}")
_STREAMS = ("stdin", "stdout", "stderr")
_TAR = "application/x-tar"
STAT_HEADER = "X-Docker-Container-Path-Stat"


class StreamRoutes:
    """The endpoints of containers' streams and files."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._samplers = Samplers()

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/containers/{id*}/attach", self.attach, Kind.PROCESS),
            Route("GET", "/containers/{id*}/attach/ws", self.attach_websocket, Kind.PROCESS),
            Route("POST", "/containers/{id*}/wait", self.wait, Kind.PROCESS),
            Route("GET", "/containers/{id*}/logs", self.logs, Kind.STREAM),
            Route("GET", "/containers/{id*}/stats", self.stats, Kind.STREAM),
            Route("HEAD", "/containers/{id*}/archive", self.stat_path),
            Route("GET", "/containers/{id*}/folder", self.folder),
            Route("GET", "/containers/{id*}/archive", self.get_archive, Kind.WORK),
            Route("PUT", "/containers/{id*}/archive", self.put_archive),
            Route("GET", "/containers/{id*}/export", self.export, Kind.WORK),
        ]

    async def attach(self, call: Call) -> web.StreamResponse:
        container = self._containers.live(call.places["id"])
        past, inner = await self._attached(call, container, *(call.flag(name) for name in _STREAMS))
        return await hijack(call, inner, framed=not container.record.config.tty, before=past)

    async def attach_websocket(self, call: Call) -> web.StreamResponse:
        """Attach over a WebSocket, without frames. API versions before 1.42 attach all streams, whatever was asked."""
        check_websocket(call)
        container = self._containers.live(call.places["id"])
        chosen = [call.version < (1, 42) or call.flag(name) for name in _STREAMS]
        past, inner = await self._attached(call, container, *chosen)
        translate = bytes if container.record.config.tty else unframer()
        return await converse(call, inner, binary=call.version >= (1, 28), translate=translate, before=past)

    async def _attached(
        self, call: Call, container: Container, stdin: bool, stdout: bool, stderr: bool
    ) -> tuple[AsyncIterator[bytes] | None, socket.socket]:
        """Return the log so far, if `logs` asks for it, and the connection of the live stream, if `stream` does.

        Without `stream` the connection ends at once. Keys are looked at in any case.
        """
        keys = call.text("detachKeys")
        parse_keys(keys)
        tty, past = container.record.config.tty, None
        parse_keys(call.text("detachKeys"))  # what is wrong is told before the connection changes hands
        if call.flag("logs"):
            now = format_time(time.time_ns())  # what comes from now on, the stream has
            records = self._containers.logs(container.id, stdout=stdout, stderr=stderr, until=now)
            past = _past(call, (_line(record, tty, False) for record in records))
        if call.flag("stream"):
            attach = partial(self._containers.attach, container.id, stdout=stdout, stderr=stderr)
            stream = await call.run(attach, stdin=stdin, detach_keys=keys)
            return past, stream.detach()
        inner, other = socket.socketpair()
        other.close()
        return past, inner

    async def wait(self, call: Call) -> web.StreamResponse:
        """Return the head goes out at once: it tells the client that nothing that happens from now on is missed."""
        condition = call.text("condition") or "not-running"
        future = self._containers.waiting(call.places["id"], condition).future
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(call.request)
        result = await asyncio.wrap_future(future)
        error = {"Message": result.error} if result.error else None
        await response.write(dump({"StatusCode": result.exit_code, "Error": error}))
        await response.write_eof()
        return response

    async def logs(self, call: Call) -> web.StreamResponse:
        if not (call.flag("stdout") or call.flag("stderr")):
            raise InvalidInput("Bad parameters: you must choose at least one stream")
        container = self._containers.live(call.places["id"])
        gone = Cancellation()
        records = self._containers.logs(
            container.id,
            stdout=call.flag("stdout"),
            stderr=call.flag("stderr"),
            follow=call.flag("follow"),
            since=call.text("since"),
            until=call.text("until"),
            tail=_tail(call.text("tail")),
            offset=call.text("offset"),
            cancellation=gone,
        )
        tty, times = container.record.config.tty, call.flag("timestamps")
        details = call.flag("details")
        kind = FRAMED if not tty and call.version >= (1, 42) else RAW
        return await feed_response(call, (_line(r, tty, times, details) for r in records), kind, stop=gone.cancel)

    async def stats(self, call: Call) -> web.StreamResponse:
        """Answer with one reading or a stream. A single reading takes a second, but not with `one-shot`."""
        container, stream = self._containers.live(call.places["id"]), call.flag("stream", True)
        read = partial(self._containers.reading, container.id)
        if not stream and call.flag("one-shot"):
            return reply(render_stats(await call.run(read)))
        loop, workers = asyncio.get_running_loop(), call.workers
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        async with aclosing(self._samplers.watch(container.id, lambda: loop.run_in_executor(workers, read))) as samples:
            async for sample in samples:
                if stream or sample.compared:
                    await response.prepare(call.request)
                    await response.write(sample.line)
                    if not stream:
                        break
        await response.prepare(call.request)
        await response.write_eof()
        return response

    async def stat_path(self, call: Call) -> web.StreamResponse:
        stat = await call.run(self._containers.stat_path, call.places["id"], _path(call))
        return web.Response(headers={STAT_HEADER: _stat_header(stat), "Content-Type": _TAR})

    async def folder(self, call: Call) -> web.StreamResponse:
        """List a directory. This endpoint is lamina's own."""

        def work() -> bytes:
            return dump(msgspec.to_builtins(self._containers.folder(call.places["id"], _path(call))))

        return json_reply(await call.run(work))

    async def get_archive(self, call: Call) -> web.StreamResponse:
        path, containers = _path(call), self._containers

        def work(sink: Sink, cancellation: Cancellation) -> None:
            sink.headers[STAT_HEADER] = _stat_header(containers.stat_path(call.places["id"], path))
            containers.get_archive(call.places["id"], path, cast(IO[bytes], sink), cancellation=cancellation)

        return await bytes_response(call, work, _TAR)

    async def put_archive(self, call: Call) -> web.StreamResponse:
        path = _path(call)
        async with receiving(call.request.content) as upload:
            await call.run_cancellable(
                self._containers.put_archive,
                call.places["id"],
                path,
                cast(IO[bytes], upload),
                no_overwrite=call.flag("noOverwriteDirNonDir"),
                copy_owner=call.flag("copyUIDGID"),
            )
        return empty(200)

    async def export(self, call: Call) -> web.StreamResponse:
        def work(sink: Sink, cancellation: Cancellation) -> None:
            self._containers.export(call.places["id"], cast(IO[bytes], sink), cancellation=cancellation)

        return await bytes_response(call, work, "application/octet-stream")


async def _past(call: Call, lines: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield lines that can be had without waiting, many at a time; read no faster than they are taken."""
    while piece := await call.run(_several, lines):
        yield piece


def _several(lines: Iterator[bytes]) -> bytes:
    piece = bytearray()
    for line in lines:
        piece += line
        if len(piece) >= _PIECE:
            break
    return bytes(piece)


def _path(call: Call) -> str:
    path = call.file_name("path")
    if not path:
        raise InvalidInput("missing parameter: path")
    return path


def _tail(text: str) -> int | None:
    """Return how many lines from the end; None for all: what is no number means all, as for dockerd."""
    return int(text) if _TAIL.fullmatch(text) else None


def _line(record: LogRecord, tty: bool, times: bool, details: bool = False) -> bytes:
    data = _details(record.attributes) + record.data if details else record.data
    data = f"{record.time} ".encode() + data if times else data
    return data if tty else frame(STDERR if record.stream == "stderr" else STDOUT, data)


def _details(attributes: Mapping[str, str]) -> bytes:
    """Return a record's attributes as they stand before its text (moby daemon/server/httputils/write_log_stream.go)."""
    return ",".join(f"{quote_plus(key)}={quote_plus(attributes[key])}" for key in sorted(attributes)).encode() + b" "


def _stat_header(stat: PathStat) -> str:
    """Return what `docker cp` wants to know before it copies."""
    return base64.b64encode(encode_json(path_stat(stat))).decode()
