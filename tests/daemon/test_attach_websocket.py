"""`attach/ws`: a process's streams over a WebSocket, as clients have it that cannot take a connection over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from support.api import PATIENCE, Http
from support.tars import directory_tar

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def image(http_: Http, busybox_tree: Path) -> Iterator[str]:
    assert http_("POST", "/images/create?fromSrc=-&repo=ws&tag=1", directory_tar(busybox_tree)).status == 200
    yield "ws:1"
    assert http_("DELETE", "/images/ws:1").status == 200


@pytest.fixture
def container(http_: Http, image: str, request: pytest.FixtureRequest) -> Iterator[str]:
    command, tty = request.param
    config = {"OpenStdin": True, "StdinOnce": True, "Tty": tty, "HostConfig": {"NetworkMode": "none"}}
    made = http_("POST", "/containers/create", {"Image": image, "Cmd": ["sh", "-c", command], **config}).json["Id"]
    assert http_("POST", f"/containers/{made}/start").status == 204
    yield made
    assert http_("DELETE", f"/containers/{made}?force=1").status == 204


@asynccontextmanager
async def attached(http_: Http, target: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(http_.path)) as session:
        async with session.ws_connect(f"http://localhost{target}") as websocket:
            yield websocket


async def heard(websocket: aiohttp.ClientWebSocketResponse) -> list[aiohttp.WSMessage]:
    """All messages until the other side closes."""
    return [message async for message in websocket]


def run(coroutine: Any) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, PATIENCE))


ECHO = "read line; echo out $line; echo err $line >&2"


@pytest.mark.parametrize("container", [(ECHO, False)], indirect=True)
def test_input_goes_in_and_both_outputs_come_without_frames(http_: Http, container: str) -> None:
    async def talk() -> list[aiohttp.WSMessage]:
        async with attached(http_, f"/containers/{container}/attach/ws?stream=1&stdin=1&stdout=1&stderr=1") as socket:
            await socket.send_str("words\n")
            return await heard(socket)

    messages = run(talk())

    assert {message.type for message in messages} == {aiohttp.WSMsgType.BINARY}
    assert sorted(b"".join(message.data for message in messages).splitlines()) == [b"err words", b"out words"]


@pytest.mark.parametrize("container", [(ECHO, False)], indirect=True)
def test_only_the_streams_that_were_asked_for(http_: Http, container: str) -> None:
    async def talk(query: str) -> bytes:
        async with attached(http_, f"{query}") as socket:
            await socket.send_bytes(b"words\n")
            return b"".join(message.data for message in await heard(socket))

    assert run(talk(f"/v1.42/containers/{container}/attach/ws?stream=1&stdin=1&stderr=1")) == b"err words\n"
    past = run(talk(f"/v1.42/containers/{container}/attach/ws?logs=1&stdout=1"))
    assert past == b"out words\n"


@pytest.mark.parametrize("container", [(ECHO, True)], indirect=True)
def test_older_clients_get_text_and_all_streams(http_: Http, container: str) -> None:
    async def talk() -> list[aiohttp.WSMessage]:
        async with attached(http_, f"/v1.27/containers/{container}/attach/ws?stream=1") as socket:
            await socket.send_bytes(b"words\n")
            return await heard(socket)

    messages = run(talk())

    assert {message.type for message in messages} == {aiohttp.WSMsgType.TEXT}
    assert "out words\r\nerr words\r\n" in "".join(message.data for message in messages)


@pytest.mark.parametrize("container", [("exec sleep 300", False)], indirect=True)
def test_a_client_that_closes_leaves_the_container_running(http_: Http, container: str) -> None:
    async def look() -> None:
        async with attached(http_, f"/containers/{container}/attach/ws?stream=1&stdout=1") as socket:
            await socket.close()

    run(look())

    assert http_("GET", f"/containers/{container}/json").json["State"]["Running"] is True


def test_what_is_no_websocket_is_refused(http_: Http) -> None:
    answer = http_("GET", "/containers/nosuch/attach/ws?stream=1")

    assert answer.status == 400
    assert "WebSocket" in answer.message


def prepared(http_: Http, container: str, *command: str) -> str:
    """The ID of an exec with a terminal."""
    config = {"AttachStdin": True, "AttachStdout": True, "Tty": True, "Cmd": command}
    return str(http_("POST", f"/containers/{container}/exec", config).json["Id"])


@pytest.mark.parametrize("container", [("exec sleep 300", False)], indirect=True)
def test_a_command_is_started_over_a_websocket(http_: Http, container: str) -> None:
    job = prepared(http_, container, "sh", "-c", "read line; echo got $line; stty size; exit 3")

    async def talk() -> bytes:
        async with attached(http_, f"/exec/{job}/start/ws?h=20&w=90") as socket:
            await socket.send_str("words\n")
            return b"".join(message.data for message in await heard(socket))

    output = run(talk())
    assert b"got words\r\n20 90\r\n" in output
    assert http_("GET", f"/exec/{job}/json").json["ExitCode"] == 3
    assert http_("GET", f"/exec/{job}/start/ws").status == 400
