"""Calls between two ends of one connection, in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import pytest

from lamina.daemon.buildkit.http2 import Http2
from lamina.daemon.buildkit.messages.session import Piece
from lamina.daemon.buildkit.rpc import Call, Caller, Method, Server, unary
from lamina.errors import (
    Cancelled,
    Forbidden,
    InvalidInput,
    LaminaError,
    NotFound,
    TooLarge,
    Unavailable,
    Unsupported,
)

LARGE = 5_000_000  # bytes: more than any window


class Wire:
    """One direction: hands what is written to the other end, later."""

    def __init__(self) -> None:
        self.peer: Http2 | None = None
        self.closed = False
        self._early: list[bytes] = []

    def connect(self, peer: Http2) -> None:
        self.peer = peer
        for data in self._early:
            self.write(data)

    def write(self, data: bytes) -> None:
        if self.peer is None:
            self._early.append(data)
        else:
            asyncio.get_running_loop().call_soon(self.peer.feed, data)

    def close(self) -> None:
        self.closed = True
        if self.peer is not None:
            asyncio.get_running_loop().call_soon(self.peer.lost)

    def is_closing(self) -> bool:
        return self.closed


def with_server(methods: Mapping[str, Method], use: Callable[[Caller, Http2], Awaitable[None]]) -> None:
    """Run `use` with a caller of these methods, and the server's end."""

    async def main() -> None:
        there, back = Wire(), Wire()
        server, client = Http2(back, Server(methods).accept), Http2(there)
        there.connect(server)
        back.connect(client)
        await use(Caller(client), server)
        client.close()

    asyncio.run(asyncio.wait_for(main(), 30))


async def echo(request: Piece, call: Call) -> Piece:
    return Piece(request.data.upper())


def test_a_call_has_an_answer() -> None:
    async def use(caller: Caller, server: Http2) -> None:
        assert await caller.unary("/echo", Piece(b"abc"), Piece) == Piece(b"ABC")

    with_server({"/echo": unary(Piece, echo)}, use)


def test_streams_larger_than_every_window_pass_both_ways_at_once() -> None:
    async def double(call: Call) -> None:
        while batch := await call.receive_batch():
            for raw in batch:
                await call.send(Piece.decode(raw), Piece.decode(raw))

    async def use(caller: Caller, server: Http2) -> None:
        call = caller.open("/double")

        async def send() -> None:
            for _ in range(LARGE // 50_000):
                await call.send(Piece(bytes(50_000)))
            call.finish()

        sending = asyncio.ensure_future(send())
        size = 0
        while batch := await call.receive_batch():
            size += sum(len(Piece.decode(raw).data) for raw in batch)
        await sending
        await call.check()
        assert size == 2 * LARGE

    with_server({"/double": double}, use)


@pytest.mark.parametrize("kind", [NotFound, InvalidInput, Forbidden, Unsupported, TooLarge])
def test_an_error_keeps_its_kind_and_its_words(kind: type[LaminaError]) -> None:
    async def fail(request: Piece, call: Call) -> Piece:
        raise kind("50 % of “this”\nfailed")

    async def use(caller: Caller, server: Http2) -> None:
        with pytest.raises(kind) as caught:
            await caller.unary("/fail", Piece(), Piece)
        assert caught.value.message == "50 % of “this”\nfailed"

    with_server({"/fail": unary(Piece, fail)}, use)


def test_an_unknown_method_is_unsupported() -> None:
    async def use(caller: Caller, server: Http2) -> None:
        with pytest.raises(Unsupported, match="/nothing"):
            await caller.unary("/nothing", Piece(), Piece)

    with_server({}, use)


def test_a_message_past_the_limit_is_refused_before_it_is_received() -> None:
    async def use(caller: Caller, server: Http2) -> None:
        call = caller.open("/echo")
        await call.stream.send(b"\0" + (1 << 31).to_bytes(4, "big"))
        with pytest.raises(TooLarge):
            await call.check()

    with_server({"/echo": unary(Piece, echo)}, use)


def test_a_cancelled_call_ends_the_method() -> None:
    ended = asyncio.Event()

    async def wait(call: Call) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def use(caller: Caller, server: Http2) -> None:
        call = caller.open("/wait")
        await call.stream.wait_for_headers()
        call.cancel()
        await ended.wait()
        with pytest.raises(Cancelled):
            await call.receive_batch()

    with_server({"/wait": wait}, use)


def test_a_lost_connection_ends_calls_on_both_sides() -> None:
    async def wait(call: Call) -> None:
        await call.receive_batch()

    async def use(caller: Caller, server: Http2) -> None:
        call = caller.open("/wait")
        await call.stream.wait_for_headers()
        server.close()
        with pytest.raises(Unavailable):
            await call.receive_batch()
        with pytest.raises(Unavailable):
            caller.open("/wait")

    with_server({"/wait": wait}, use)


def test_bytes_that_are_no_http2_close_the_connection() -> None:
    async def use(caller: Caller, server: Http2) -> None:
        server.feed(b"GET / HTTP/1.1\r\n\r\n" * 10)
        assert server.closed.is_set()

    with_server({}, use)
