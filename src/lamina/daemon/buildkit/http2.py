"""One HTTP/2 connection over any pair of byte streams, for either role: streams with headers, bytes and trailers.

The event loop owns it. `feed` takes what arrives, `Outlet` sends what leaves: a transport that was taken over, or a
gRPC stream that carries a connection of its own. h2 keeps the protocol's rules (RFC 9113); here are the waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Protocol

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RequestReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings

from lamina.daemon.buildkit.data_frames import DataFrames
from lamina.daemon.buildkit.streams import Headers, Stream
from lamina.errors import Cancelled, Unavailable

_WINDOW = 1 << 20  # bytes one stream may send before somebody reads them
_CONNECTION_WINDOW = 8 << 20
_MOST_STREAMS = 1000  # a client's calls at once
_HEADER_LIMIT = 1 << 20  # bytes of one list of headers
_SETTINGS = {
    SettingCodes.INITIAL_WINDOW_SIZE: _WINDOW,
    SettingCodes.MAX_CONCURRENT_STREAMS: _MOST_STREAMS,
    SettingCodes.MAX_HEADER_LIST_SIZE: _HEADER_LIMIT,
    SettingCodes.ENABLE_PUSH: 0,
}


class Outlet(Protocol):
    """Where bytes leave: an asyncio transport, or what looks like one."""

    def write(self, data: bytes, /) -> None: ...

    def close(self) -> None: ...

    def is_closing(self) -> bool: ...


Accept = Callable[[Stream], Awaitable[None]]


class Http2:
    """A connection. With `accept` it serves: each stream of the client becomes a task that `accept` fills."""

    def __init__(self, outlet: Outlet, accept: Accept | None = None) -> None:
        self._outlet = outlet
        self._accept = accept
        self._streams: dict[int, Stream] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self.closed = asyncio.Event()
        configuration = H2Configuration(client_side=accept is None, header_encoding=None)
        self._h2 = H2Connection(configuration)
        self._h2.local_settings = Settings(client=accept is None, initial_values=_SETTINGS)
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(_CONNECTION_WINDOW)
        self._frames = DataFrames(is_server=accept is not None)
        self._flush()

    def open(self, headers: Headers) -> Stream:
        """Begin an exchange. Raise Unavailable when the connection is closed."""
        if self.closed.is_set():
            raise Unavailable("the client's session has ended")
        number = self._h2.get_next_available_stream_id()
        stream = self._streams[number] = Stream(self, number)
        self._h2.send_headers(number, [(name.encode(), value.encode()) for name, value in headers])
        self._flush()
        return stream

    def feed(self, data: bytes) -> None:
        """Take bytes that arrived. A violation of the protocol closes the connection."""
        try:
            for event in self._h2.receive_data(self._frames.joined(data)):
                self._handle(event)
        except (H2Error, UnicodeDecodeError, ValueError):
            with suppress(H2Error):
                self._h2.close_connection(ErrorCodes.PROTOCOL_ERROR)
            self._flush()
            self.close()
            return
        self._flush()

    def lost(self) -> None:
        """Note that the other side is gone: every exchange breaks off."""
        if self.closed.is_set():
            return
        self.closed.set()
        for stream in self._streams.values():
            stream.break_off(Unavailable("the client went away"))
        self._streams.clear()
        for task in list(self._tasks.values()):
            task.cancel()

    def close(self) -> None:
        """Close the connection. A second call does nothing."""
        if not self._outlet.is_closing():
            self._outlet.close()
        self.lost()

    def _handle(self, event: Event) -> None:
        if isinstance(event, ConnectionTerminated):
            self.close()
            return
        number = getattr(event, "stream_id", 0) or 0
        if isinstance(event, RequestReceived):
            self._begin(number, _texts(event.headers))
        stream = self._streams.get(number)
        if isinstance(event, DataReceived):
            size = event.flow_controlled_length or 0
            if stream is None:
                self._h2.acknowledge_received_data(size, number) if size else None
            else:
                stream.feed(event.data or b"", size)
        elif stream is None:
            self._wake_all()  # a wider window, or settings
        elif isinstance(event, ResponseReceived):
            stream.begin(_texts(event.headers))
        elif isinstance(event, TrailersReceived):
            stream.end(_texts(event.headers))
        elif isinstance(event, StreamEnded):
            stream.end()
        elif isinstance(event, StreamReset):
            self._forget(number, Cancelled("the other side cancelled the call"))
        else:
            stream.room.set()

    def _wake_all(self) -> None:
        for stream in self._streams.values():
            stream.room.set()

    def _begin(self, number: int, headers: Headers) -> None:
        if self._accept is None:
            return
        stream = self._streams[number] = Stream(self, number)
        stream.begin(headers)
        task = asyncio.ensure_future(self._serve(stream, self._accept))
        self._tasks[number] = task
        task.add_done_callback(lambda _: self._tasks.pop(number, None))

    async def _serve(self, stream: Stream, accept: Accept) -> None:
        try:
            await accept(stream)
        except (Unavailable, Cancelled):
            stream.reset()

    def _forget(self, number: int, error: Cancelled) -> None:
        stream = self._streams.pop(number, None)
        if stream is not None:
            stream.break_off(error)
        task = self._tasks.get(number)
        if task is not None:
            task.cancel()

    # What streams ask for.

    def credit(self, number: int, size: int) -> None:
        """Let the other side send `size` more bytes."""
        if size and not self.closed.is_set():
            with suppress(H2Error):  # the stream was reset meanwhile
                self._h2.acknowledge_received_data(size, number)
            self._flush()

    def window(self, number: int) -> int:
        """Return how many bytes may be sent in one frame now. Raise Cancelled for a stream that is over."""
        try:
            return min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size)
        except H2Error:
            raise Cancelled("the other side ended the call") from None

    def send(self, number: int, data: bytes) -> None:
        """Send one frame of data, which fits the window."""
        try:
            self._h2.send_data(number, data)
        except H2Error:
            raise Cancelled("the other side ended the call") from None
        self._flush()

    def send_headers(self, number: int, headers: Headers) -> None:
        """Send headers. Raise Cancelled for a stream that is over."""
        try:
            self._h2.send_headers(number, [(name.encode(), value.encode()) for name, value in headers])
        except H2Error:
            raise Cancelled("the other side ended the call") from None
        self._flush()

    def end(self, number: int, trailers: Headers) -> None:
        """End this side of a stream. One that is over already is left alone."""
        with suppress(H2Error):
            if trailers:
                pairs = [(name.encode(), value.encode()) for name, value in trailers]
                self._h2.send_headers(number, pairs, end_stream=True)
            else:
                self._h2.end_stream(number)
        self._flush()

    def reset(self, number: int) -> None:
        """Reset a stream and forget it."""
        if self._streams.pop(number, None) is not None:
            with suppress(H2Error):
                self._h2.reset_stream(number, ErrorCodes.CANCEL)
            self._flush()

    def release(self, number: int) -> None:
        """Forget a stream whose both sides have ended."""
        self._streams.pop(number, None)

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and not self._outlet.is_closing():
            self._outlet.write(data)


def _texts(headers: Iterable[tuple[bytes | str, bytes | str]] | None) -> Headers:
    return [(_text(header[0]), _text(header[1])) for header in headers or ()]


def _text(raw: bytes | str) -> str:
    return raw if isinstance(raw, str) else raw.decode("latin-1")
