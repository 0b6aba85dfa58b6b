"""Connections taken over, with a socket pair in place of a process."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiohttp import web

from lamina.daemon.http import hijack as hijacking
from lamina.daemon.http.admission import Gates
from lamina.daemon.http.app import Api
from lamina.daemon.http.call import Call
from lamina.daemon.http.hijack import hijack
from lamina.daemon.http.routing import Route
from support.api import Http


@contextmanager
def serving(path: Path, *routes: Route) -> Iterator[None]:
    """The API with these routes, on a Unix socket, in a thread."""
    ready = threading.Event()
    stop: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        api = Api(routes, Gates(1000))
        runner = web.AppRunner(api.application(), handler_cancellation=True, shutdown_timeout=1)
        await runner.setup()
        await web.UnixSite(runner, str(path)).start()
        stop.append((asyncio.get_running_loop(), asyncio.Event()))
        ready.set()
        await stop[0][1].wait()
        await runner.cleanup()
        api.close()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield
    finally:
        stop[0][0].call_soon_threadsafe(stop[0][1].set)
        thread.join()


def upper(connection: socket.socket) -> None:
    """Answers everything in capitals once its input has ended."""
    said = b""
    while data := connection.recv(1000):
        said += data
    connection.sendall(said.upper())
    connection.close()


async def shout(call: Call) -> web.StreamResponse:
    await call.body()
    outside, inside = socket.socketpair()
    threading.Thread(target=upper, args=(inside,)).start()
    return await hijack(call, outside, framed=False)


ROUTE = Route("POST", "/containers/{id}/attach", shout)
UPGRADE = "Connection: Upgrade\r\nUpgrade: tcp\r\n"


def talk(path: Path, request: bytes, said: bytes) -> tuple[bytes, bytes]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(path))
        client.sendall(request)
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(1)
        client.sendall(said)
        client.shutdown(socket.SHUT_WR)
        heard = b""
        while data := client.recv(1000):
            heard += data
    return head, heard


@pytest.mark.parametrize(
    ("headers", "status"), [(UPGRADE, b"HTTP/1.1 101 UPGRADED\r\n"), ("", b"HTTP/1.1 200 OK\r\n")], ids=["new", "old"]
)
def test_what_is_said_until_the_half_close_is_answered(tmp_path: Path, headers: str, status: bytes) -> None:
    request = f"POST /v1.41/containers/c/attach HTTP/1.1\r\nHost: docker\r\n{headers}Content-Length: 0\r\n\r\n"
    with serving(tmp_path / "s", ROUTE):
        head, heard = talk(tmp_path / "s", request.encode(), b"hello" * 10_000)

    assert head.startswith(status)
    assert heard == b"HELLO" * 10_000


def test_a_client_that_leaves_ends_the_stream(tmp_path: Path) -> None:
    ended = threading.Event()

    async def wait_for_end(call: Call) -> web.StreamResponse:
        outside, inside = socket.socketpair()

        def listen() -> None:
            inside.recv(10)
            ended.set()
            inside.close()

        threading.Thread(target=listen).start()
        return await hijack(call, outside, framed=True)

    with serving(tmp_path / "s", Route("POST", "/x", wait_for_end)):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "s"))
            client.sendall(f"POST /x HTTP/1.1\r\nHost: d\r\n{UPGRADE}\r\n".encode())
            assert b"vnd.docker.multiplexed-stream" in client.recv(1000)
        assert ended.wait(10)


async def say(call: Call) -> web.StreamResponse:
    outside, inside = socket.socketpair()
    inside.sendall(b"output")
    inside.close()
    return await hijack(call, outside, framed=False)


async def ping(call: Call) -> web.StreamResponse:
    return web.Response()


def test_output_comes_after_the_client_has_read_the_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hijacking, "_GRACE", 60.0)
    path = tmp_path / "s"
    with serving(path, Route("POST", "/say", say), Route("GET", "/ping", ping)):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(path))
            client.sendall(f"POST /say HTTP/1.1\r\nHost: d\r\n{UPGRADE}\r\n".encode())
            while b"\r\n\r\n" not in client.recv(1000, socket.MSG_PEEK):
                pass
            for _ in range(5):  # the server has had the time to send more
                assert Http(str(path))("GET", "/ping").status == 200
            assert client.recv(1000).endswith(b"\r\n\r\n")
            assert client.recv(1000) == b"output"
