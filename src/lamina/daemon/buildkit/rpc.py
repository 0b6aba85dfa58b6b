"""gRPC over an HTTP/2 connection: calls and answers as messages, errors as statuses.

Rule: grpc/grpc, doc/PROTOCOL-HTTP2.md. A message is a byte for compression, four for its length, and the bytes; the
status comes in the trailers. Nothing is compressed here, and no peer is told that it may.
"""

from __future__ import annotations

import asyncio
import logging
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TypeVar
from urllib.parse import quote, unquote

from lamina.daemon.buildkit.failures import Code, code_of, details_of, error_with, failure_of
from lamina.daemon.buildkit.http2 import Http2
from lamina.daemon.buildkit.messages.control import Status
from lamina.daemon.buildkit.messages.source import Detail
from lamina.daemon.buildkit.protobuf import Message
from lamina.daemon.buildkit.streams import Headers, Stream
from lamina.errors import InvalidInput, TooLarge, Unavailable

_LOG = logging.getLogger("lamina.daemon")
_LARGEST = 16 << 20  # bytes of one message, as BuildKit allows them
_LARGEST_DETAILS = 512 << 10  # characters: clients take a megabyte of headers at most
_DETAILS = "grpc-status-details-bin"
_HEAD = 5
M = TypeVar("M", bound=Message)
R = TypeVar("R", bound=Message)


class Call:
    """One call as a stream of messages, for either side of it."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._buffer = bytearray()

    async def receive_batch(self) -> list[bytes]:
        """Return the messages that are here, at least one, still encoded; none at the end.

        Raise TooLarge, InvalidInput for a compressed message, and what `Stream.receive` raises.
        """
        while not (messages := self._complete()):
            data = await self.stream.receive()
            if not data:
                if self._buffer:
                    raise InvalidInput("a gRPC stream ended in the middle of a message")
                return []
            self._buffer += data
        return messages

    async def receive(self, kind: type[M]) -> M | None:
        """Return the next message, None at the end. For calls whose side sends one message at a time."""
        batch = await self.receive_batch()
        if not batch:
            return None
        self._buffer[:0] = b"".join(map(_framed, batch[1:]))
        return kind.decode(batch[0])

    def _complete(self) -> list[bytes]:
        messages, position, buffer = [], 0, self._buffer
        while len(buffer) - position >= _HEAD:
            if buffer[position]:
                raise InvalidInput("a gRPC message is compressed, which nobody was told to do")
            size = int.from_bytes(buffer[position + 1 : position + _HEAD], "big")
            if size > _LARGEST:
                raise TooLarge(f"a gRPC message is larger than {_LARGEST >> 20} MiB", limit=_LARGEST)
            if len(buffer) - position - _HEAD < size:
                break
            messages.append(bytes(buffer[position + _HEAD : position + _HEAD + size]))
            position += _HEAD + size
        del buffer[:position]
        return messages

    async def send(self, *messages: Message) -> None:
        """Send messages, waiting for the other side. Raise Unavailable, Cancelled."""
        await self.stream.send(b"".join(_framed(message.encode()) for message in messages))

    def metadata(self, name: str) -> list[str]:
        """Return all values of a header of the other side."""
        return [value for key, value in self.stream.all_headers if key == name]


def _framed(raw: bytes) -> bytes:
    return b"\0" + len(raw).to_bytes(4, "big") + raw


class Outgoing(Call):
    """A call of ours. `finish` ends what we send; `check` raises what the server answered as its status."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream)
        self._loop = asyncio.get_running_loop()

    def finish(self) -> None:
        """Tell the other side that no further messages follow."""
        self.stream.finish()

    async def check(self) -> None:
        """Wait for the server's end. Raise the kind of error that its status stands for."""
        while await self.receive_batch():
            continue
        _raise_status(self.stream)

    async def one(self, kind: type[M]) -> M:
        """Return the only answer. Raise the server's error."""
        answer = await self.receive(kind)
        await self.check()
        if answer is None:
            raise Unavailable("the client gave no answer")
        return answer

    def cancel(self) -> None:
        """Cut the call. Do nothing after its end."""
        self.stream.reset()

    def cancel_soon(self) -> None:
        """Cut the call from another thread."""
        with suppress(RuntimeError):  # the loop has ended, and the call with it
            self._loop.call_soon_threadsafe(self.cancel)


def _raise_status(stream: Stream) -> None:
    answer = stream.trailers or stream.headers
    code = answer.get("grpc-status", str(Code.UNKNOWN.value))
    if code == "0":
        return
    message = unquote(answer.get("grpc-message", "")) or f"the call failed with status {code}"
    raise error_with(int(code) if code.isdecimal() else Code.UNKNOWN, message, details=_details(answer))


def _details(answer: Mapping[str, str]) -> tuple[Detail, ...]:
    """Return the facts about an error in a call's trailers. What cannot be read is none."""
    encoded = answer.get(_DETAILS, "")
    try:
        return Status.decode(b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)).details
    except (ValueError, InvalidInput):
        return ()


class Caller:
    """The client's side of a connection: calls to what the other side serves."""

    def __init__(self, connection: Http2) -> None:
        self.connection = connection

    def open(self, path: str, metadata: Headers = ()) -> Outgoing:
        """Begin a call. Raise Unavailable when the connection is closed."""
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            *metadata,
        ]
        return Outgoing(self.connection.open(headers))

    async def unary(self, path: str, request: Message, kind: type[M]) -> M:
        """Send one message and return the answer. Raise the kind of error that the server answers with."""
        call = self.open(path)
        try:
            await call.send(request)
            call.finish()
            return await call.one(kind)
        except BaseException:
            call.cancel()
            raise


Method = Callable[[Call], Awaitable[None]]


def unary(kind: type[M], answer: Callable[[M, Call], Awaitable[R]]) -> Method:
    """Return a method that takes one message and returns one."""

    async def method(call: Call) -> None:
        request = await call.receive(kind)
        await call.send(await answer(request if request is not None else kind(), call))

    return method


class Server:
    """Answer the calls of a connection by their paths, such as `/moby.buildkit.v1.Control/Info`."""

    def __init__(self, methods: Mapping[str, Method]) -> None:
        self._methods = methods

    async def accept(self, stream: Stream) -> None:
        """Answer one call. An error of the method becomes the call's status."""
        stream.start([(":status", "200"), ("content-type", "application/grpc")])
        method = self._methods.get(stream.headers.get(":path", ""))
        if method is None:
            path = stream.headers.get(":path", "")
            stream.finish(_status(Code.UNIMPLEMENTED, f"unknown method {path}"))
            return
        try:
            await method(Call(stream))
        except Exception as error:  # it becomes the status of the call
            _LOG.debug("%s: %s", stream.headers.get(":path"), error)
            stream.finish(_status(code_of(error), failure_of(error), details_of(error)))
        else:
            stream.finish(_status(Code.OK))


def _status(code: Code, message: str = "", details: tuple[Detail, ...] = ()) -> Headers:
    """Return the trailers of a call. Details come as a whole google.rpc.Status, in base64."""
    trailers = [("grpc-status", str(code.value))]
    if message:
        trailers.append(("grpc-message", quote(message, safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~")))
    encoded = b64encode(Status(code.value, message, details).encode()).decode().rstrip("=") if details else ""
    if encoded and len(encoded) <= _LARGEST_DETAILS:
        trailers.append((_DETAILS, encoded))
    return trailers
