"""The names that aiohttp keeps to itself and that our servers use: each means what they take it to mean."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

SOURCE = Path(__file__).parents[2] / "src/lamina"
NAMES = {"_current_request", "_kwargs", "_messages", "_parser", "_request_count", "_waiter"}
GET = b"GET / HTTP/1.1\r\nHost: d\r\n\r\n"
HALF = b"POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 9\r\n\r\nhalf"


class Scene:
    """One client of a server of aiohttp's. Its requests are answered when `go` is set."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.requests: list[web.BaseRequest] = []
        self.server = web.Server(self._answer, keepalive_timeout=7.0)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        await self.go.wait()
        return web.Response()

    @property
    def handler(self) -> RequestHandler:
        return self.server.connections[0]

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.005)


async def connect(scene: Scene, folder: Path) -> tuple[asyncio.Server, asyncio.StreamWriter]:
    socket = str(folder / "s")
    listening = await asyncio.get_running_loop().create_unix_server(scene.server, socket)
    _, writer = await asyncio.open_unix_connection(socket)
    await scene.until(lambda: scene.server.connections)
    return listening, writer


def private_names(path: Path) -> set[str]:
    """Private attributes that a file reads and does not define."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}
    defined = {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    defined |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    return {name for name in names - defined if name.startswith("_") and not name.startswith("__")}


def test_the_servers_use_no_other_private_names() -> None:
    files = [path for room in ("daemon", "registry") for path in (SOURCE / room).rglob("*.py")]
    used = {name for path in files if "aiohttp" in path.read_text() for name in private_names(path)}
    assert used == NAMES


def test_a_server_hands_its_options_to_its_handlers() -> None:
    async def play() -> None:
        assert Scene().server._kwargs["keepalive_timeout"] == 7.0

    asyncio.run(play())


def test_a_handler_counts_requests_and_keeps_those_that_wait(tmp_path: Path) -> None:
    async def play() -> None:
        scene = Scene()
        listening, writer = await connect(scene, tmp_path)
        await scene.until(lambda: scene.handler._waiter is not None)  # idle
        handler = scene.handler
        assert (len(handler._messages), handler._request_count, handler._current_request) == (0, 0, None)
        writer.write(GET + GET)
        await scene.until(lambda: scene.requests)
        assert scene.handler._current_request is scene.requests[0]
        assert scene.handler._waiter is None
        assert [type(message) for message, _ in scene.handler._messages] == [RawRequestMessage]
        assert scene.handler._request_count == 2
        scene.go.set()
        await scene.until(lambda: scene.handler._waiter is not None and not scene.handler._messages)
        writer.close()
        listening.close()

    asyncio.run(play())


def test_what_is_no_request_waits_as_another_kind_of_message(tmp_path: Path) -> None:
    async def play() -> None:
        scene = Scene()
        listening, writer = await connect(scene, tmp_path)
        writer.write(GET)
        await scene.until(lambda: scene.requests)
        writer.write(b"\0\0\r\n\r\n")
        await scene.until(lambda: scene.handler._messages)
        assert not isinstance(scene.handler._messages[-1][0], RawRequestMessage)
        scene.go.set()
        writer.close()
        listening.close()

    asyncio.run(play())


def test_the_parser_refuses_an_end_in_the_middle_of_a_body(tmp_path: Path) -> None:
    async def play() -> None:
        scene = Scene()
        listening, writer = await connect(scene, tmp_path)
        writer.write(GET)
        await scene.until(lambda: scene.requests)
        assert scene.handler._parser is not None
        assert scene.handler._parser.feed_eof() is None
        writer.write(HALF)
        await scene.until(lambda: scene.handler._messages)
        with pytest.raises(HttpProcessingError):
            scene.handler._parser.feed_eof()
        scene.go.set()
        writer.close()
        listening.close()

    asyncio.run(play())
