"""Answers that come bit by bit: progress as JSON lines, and bytes from blocking code."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from aiohttp import web

from lamina.cancellation import Cancellation
from lamina.daemon.http.answers import error_line, message_line, message_of
from lamina.daemon.http.call import Call, dump
from lamina.errors import Cancelled
from lamina.images.archive.save import Piece, copy_to, size_of
from lamina.progress import Message, Report, ignore

_LOG = logging.getLogger("lamina.daemon")
_WAITING = 4 << 20  # bytes that may wait for a slow client before the work that makes them has to wait too

_GLANCE = 0.01  # seconds between looks whether the head has left


class Sink(Protocol):
    """A raw file for `io` that work writes to. `headers` may be changed before the first byte."""

    closed: bool

    @property
    def headers(self) -> MutableMapping[str, str]: ...

    def write(self, data: bytes, /) -> int: ...

    def put(self, pieces: Sequence[Piece], /) -> None:
        """Write the whole body, instead of any `write`. The client is told its length."""

    def flush(self) -> None: ...

    def writable(self) -> bool: ...


class Pipe:
    """Bytes from worker threads to one client. Writing waits while the client is far behind.

    `cancellation` is cancelled when the client goes away. Then writing raises Cancelled.
    """

    closed = False

    def __init__(self, call: Call, content_type: str, cancellation: Cancellation | None = None) -> None:
        self.response = web.StreamResponse(headers={"Content-Type": content_type})
        self._call = call
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._room = threading.Condition()
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self.cancellation = cancellation or Cancellation()

    @property
    def headers(self) -> MutableMapping[str, str]:
        """Return the answer's headers, which may be changed until the answer begins."""
        return self.response.headers

    @property
    def started(self) -> bool:
        """Return whether anything was written, so that the status cannot change any more."""
        return self.response.prepared or bool(self._pieces)

    def write(self, data: bytes) -> int:
        with self._room:
            self._room.wait_for(lambda: self._size < _WAITING or self.cancellation.cancelled)
            self.cancellation.check()
            is_signalled = bool(self._pieces)  # and not taken yet: who sends wakes up anyway
            self._pieces.append(bytes(data))
            self._size += len(data)
        if not is_signalled:
            self._signal()
        return len(data)

    def put(self, pieces: Sequence[Piece]) -> None:
        self.response.content_length = size_of(pieces)
        copy_to(pieces, self.write)

    def flush(self) -> None:
        """Do nothing: written bytes are on their way already."""

    def writable(self) -> bool:
        return True

    def end(self) -> None:
        """Note that no more bytes come."""
        self._ended = True
        self._signal()

    async def send(self) -> None:
        """Send what is written until the end. Call it in the event loop."""
        try:
            while not (self._ended and not self._pieces):
                await self._wake.wait()
                self._wake.clear()
                await self._send_pieces()
        except BaseException:
            self.cancellation.cancel("the client went away")
            with self._room:
                self._room.notify_all()
            raise

    async def _send_pieces(self) -> None:
        with self._room:
            data = b"".join(self._pieces)
            self._pieces.clear()
            self._size = 0
            self._room.notify_all()
        if data:
            await self.start()
            await self.response.write(data)

    def abort(self) -> None:
        """Cut the connection."""
        if self._call.request.transport is not None:
            self._call.request.transport.abort()

    async def start(self) -> None:
        if not self.response.prepared:
            await self.response.prepare(self._call.request)

    async def start_alone(self) -> None:
        """Send the head, and return when the event loop has nothing left to send. Then a thread may use the socket."""
        await self.start()
        transport = self._call.request.transport
        while transport is not None and not transport.is_closing() and transport.get_write_buffer_size():
            await asyncio.sleep(_GLANCE)  # only a client that asks more before it has read earlier answers sees this

    def _signal(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._wake.set)
        except RuntimeError:
            raise Cancelled("the daemon is stopping") from None


@contextmanager
def cut_short(pipe: Pipe) -> Iterator[None]:
    """Cut the connection if the body raises in the middle of an answer."""
    try:
        yield
    except (ConnectionError, Cancelled):  # the client has cut it
        if pipe.response.prepared:
            pipe.abort()
        raise
    except Exception as error:
        if pipe.response.prepared:
            _LOG.warning("an answer was cut short: %s", message_of(error))
            pipe.abort()
        raise


async def feed_response(
    call: Call, pieces: Iterable[bytes], content_type: str, *, stop: Callable[[], None] = ignore
) -> web.StreamResponse:
    """Answer with `pieces`, which a worker thread iterates. The head is sent before the first piece.

    `stop` is called when the client is gone or the pieces are over. It must end an iterator that waits.
    """
    pipe = Pipe(call, content_type)
    await pipe.start()

    def work() -> None:
        for piece in pieces:
            pipe.write(piece)

    try:
        with cut_short(pipe):
            await together(call, pipe, work)
    finally:
        stop()
    await pipe.response.write_eof()
    return pipe.response


async def progress_response(
    call: Call,
    work: Callable[[Report, Cancellation], Any],
    *,
    done: Callable[[Any], Iterable[Message]] = lambda result: (),
    always_ok: bool = False,
) -> web.StreamResponse:
    """Run `work` in a worker thread and answer with its messages as Docker's JSON lines.

    `work` gets a Report, and a token that is cancelled when the client goes away. `done` makes the last messages of the
    result. An error before the first message becomes an error answer, a later one the last line. With
    `always_ok` every error is a line.
    """

    def lines(pipe: Pipe) -> None:
        def report(message: Message) -> None:
            pipe.write(dump(message_line(message)))

        for message in done(work(report, pipe.cancellation)):
            report(message)

    return await lines_response(call, lines, always_ok=always_ok)


async def lines_response(
    call: Call,
    work: Callable[[Pipe], None],
    cancellation: Cancellation | None = None,
    *,
    always_ok: bool = False,
) -> web.StreamResponse:
    """Run `work` in a worker thread and answer with the JSON lines that it writes.

    Errors are as in `progress_response`. `cancellation` lets somebody else end the work as well.
    """
    pipe = Pipe(call, "application/json", cancellation)
    try:
        await together(call, pipe, lambda: work(pipe))
    except Exception as error:
        if not (pipe.started or always_ok):
            raise
        await pipe.start()
        await pipe.response.write(dump(error_line(error)))
    await pipe.start()
    await pipe.response.write_eof()
    return pipe.response


async def together(call: Call, pipe: Pipe, work: Callable[[], None]) -> None:
    """Run `work` in a thread and send what it writes. Raise its error, after everything before it was sent."""

    def until_end() -> None:
        try:
            work()
        finally:
            pipe.end()

    working = call.alone(until_end)
    try:
        await pipe.send()
    finally:
        if not working.done():
            working.add_done_callback(forget)
    await working


def forget(working: asyncio.Future[None]) -> None:
    """Ignore how the work ended, because its client is gone."""
    if not working.cancelled():
        working.exception()
