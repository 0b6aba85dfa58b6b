"""Large answers, written to the client's socket by the thread that makes them, past the event loop.

Through the loop a byte is copied several times and handed from thread to thread. A `docker save` runs ten times as fast
this way, because the kernel sends ranges of files by itself. Over TLS the loop has to do it.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from functools import partial

from aiohttp import HttpVersion11, web

from lamina.cancellation import Cancellation
from lamina.daemon.http.call import Call
from lamina.daemon.http.stream import Pipe, Sink, cut_short, forget, together
from lamina.errors import Cancelled
from lamina.images.archive.save import FileRange, Piece, size_of

_GLANCE = 500  # milliseconds between looks whether the request was cancelled while the client does not read

_MOST = 1 << 30  # bytes for one sendfile(2)


class DirectSink:
    """Writes an answer's body. `cancellation` makes `write` and `put` raise Cancelled, while they wait as well."""

    def __init__(self, connection: socket.socket, cancellation: Cancellation) -> None:
        self._socket = connection
        self._poll = select.poll()
        self._poll.register(connection, select.POLLOUT)
        self._cancellation = cancellation

    def write(self, data: bytes) -> int:
        """Write one chunk of HTTP's chunked encoding. Raise Cancelled if the client is gone."""
        if data:
            self._send([f"{len(data):x}\r\n".encode(), data, b"\r\n"])
        return len(data)

    def put(self, pieces: Iterable[Piece]) -> None:
        """Write the whole body, whose length the head has told. Raise Cancelled, or Corrupt for a short file."""
        for piece in pieces:
            if isinstance(piece, FileRange):
                self._send_range(piece)
            else:
                self._send([piece])

    def _send(self, buffers: list[bytes]) -> None:
        left = [memoryview(buffer) for buffer in buffers]
        while left:
            sent = self._when_there_is_room(lambda: self._socket.sendmsg(left))
            while left and sent >= len(left[0]):
                sent -= len(left.pop(0))
            if left:
                left[0] = left[0][sent:]

    def _send_range(self, part: FileRange) -> None:
        offset, end = part.offset, part.offset + part.size
        target = self._socket.fileno()
        with part.path.open("rb", buffering=0) as file:
            source = file.fileno()
            while offset < end:
                sent = self._when_there_is_room(partial(os.sendfile, target, source, offset, min(end - offset, _MOST)))
                if not sent:
                    raise part.too_short(end - offset)
                offset += sent

    def _when_there_is_room(self, send: Callable[[], int]) -> int:
        while True:
            self._cancellation.check()
            try:
                return send()
            except BlockingIOError:
                self._poll.poll(_GLANCE)
            except OSError as error:
                if error.errno == errno.EIO:
                    raise  # that was the file's disk
                raise Cancelled("the client went away") from error


def plain_socket(request: web.Request) -> socket.socket | None:
    """Return a duplicate of the client's socket, or None if bytes must go through the event loop."""
    transport = request.transport
    if transport is None or transport.get_extra_info("sslcontext") is not None or request.version < HttpVersion11:
        return None
    return socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))


async def bytes_response(
    call: Call, work: Callable[[Sink, Cancellation], None], content_type: str
) -> web.StreamResponse:
    """Answer with what `work` writes in a worker thread; its token is cancelled when the client goes away.

    An error before the first byte is an error answer. After it the connection is cut, so that nobody takes the part
    for the whole.
    """
    connection = plain_socket(call.request)
    pipe = Pipe(call, content_type)
    with cut_short(pipe):
        if connection is None:
            await together(call, pipe, lambda: work(pipe, pipe.cancellation))
        else:
            with connection:
                await _past_the_loop(call, pipe, connection, work)
    await pipe.start()
    await pipe.response.write_eof()
    return pipe.response


async def _past_the_loop(
    call: Call, pipe: Pipe, connection: socket.socket, work: Callable[[Sink, Cancellation], None]
) -> None:
    lazy = _HeadFirst(pipe, DirectSink(connection, pipe.cancellation))
    working = call.alone(partial(work, lazy, pipe.cancellation))
    try:
        await asyncio.shield(working)
    except asyncio.CancelledError:
        pipe.cancellation.cancel("the client went away")
        await asyncio.wait([working])  # the descriptor must outlive the thread's use of it
        forget(working)
        raise


class _HeadFirst:
    """A sink that sends the answer's head when the first bytes come."""

    closed = False

    def __init__(self, pipe: Pipe, sink: DirectSink) -> None:
        self._pipe = pipe
        self._sink = sink
        self._loop = asyncio.get_running_loop()

    @property
    def headers(self) -> MutableMapping[str, str]:
        return self._pipe.headers

    def write(self, data: bytes) -> int:
        if not self._pipe.response.prepared:
            self._start()
        return self._sink.write(data)

    def put(self, pieces: Sequence[Piece]) -> None:
        self._pipe.response.content_length = size_of(pieces)
        self._start()
        self._sink.put(pieces)

    def _start(self) -> None:
        asyncio.run_coroutine_threadsafe(self._pipe.start_alone(), self._loop).result()

    def flush(self) -> None:
        """Do nothing: no bytes are kept back."""

    def writable(self) -> bool:
        return True
