"""HTTP as it comes from the socket, whole or in pieces, right or wrong; a real server speaks it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.client.address import parse_address
from lamina.client.transport import Transport, encode_query
from lamina.errors import (
    Conflict,
    Corrupt,
    Forbidden,
    Internal,
    InvalidInput,
    LaminaError,
    NotFound,
    NotModified,
    Unauthorized,
    Unavailable,
    Unsupported,
)
from support.rawserver import OK, RawServer


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawServer]:
    server = RawServer(tmp_path_factory.mktemp("s"), piece=7)
    yield server
    server.close()


@pytest.fixture
def transport(server: RawServer) -> Iterator[Transport]:
    transport = Transport(parse_address(f"unix://{server.path}"), version="1.41")
    yield transport
    transport.close()


def chunked(*pieces: bytes) -> bytes:
    body = b"".join(b"%x;x=y\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\nTrailer: x\r\n\r\n"


def test_bodies_of_every_framing(server: RawServer, transport: Transport) -> None:
    server.answers = [
        b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}',
        chunked(b'{"a"', b":2}"),
        b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"a":3}',
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ]
    assert [transport.json("GET", "/x") for _ in range(4)] == [{"a": 1}, {"a": 2}, {"a": 3}, None]
    assert server.connections == 2  # only the one that was closed was opened anew
    assert server.requests[0].startswith(b"GET /v1.41/x HTTP/1.1\r\nHost: docker\r\n")


def test_lines_of_json(server: RawServer, transport: Transport) -> None:
    server.answers = [chunked(b'{"a":1}\r\n{"a"', b":2}\n\n")]
    assert list(transport.lines("GET", "/x")) == [{"a": 1}, {"a": 2}]


def test_a_kept_connection_that_ended_is_opened_anew(server: RawServer, transport: Transport) -> None:
    server.answers = [OK, None, OK]
    assert transport.json("GET", "/x") == {}
    assert transport.json("GET", "/y") == {}
    assert server.connections == 2


def test_a_path_is_a_socket() -> None:
    assert parse_address("/path/sock") == parse_address("unix:///path/sock")
    assert parse_address("host").scheme == "tcp"


def test_bodies_go_out_whole(server: RawServer, transport: Transport) -> None:
    transport.json("POST", "/x", {"q": "a b", "yes": True, "no": False, "map": {"k": ["v"]}}, json_body={"a": "ü"})
    assert b"POST /v1.41/x?q=a+b&yes=1&map=%7B%22k%22%3A+%5B%22v%22%5D%7D HTTP/1.1" in server.requests[0]
    assert server.requests[0].endswith('{"a": "ü"}'.encode())
    transport.json("PUT", "/y", body=iter([b"ab", b"", b"cde"]))
    assert server.requests[1].endswith(b"\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n")


def test_an_error_while_sending_is_raised_again(transport: Transport) -> None:
    def body() -> Iterator[bytes]:
        yield b"a"
        raise Conflict("the file changed")

    with pytest.raises(Conflict, match="file changed"):
        transport.json("POST", "/x", body=body())


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (304, NotModified), (400, InvalidInput), (401, Unauthorized), (403, Forbidden), (404, NotFound),
        (409, Conflict), (418, InvalidInput), (500, Internal), (501, Unsupported), (503, Unavailable), (599, Internal),
    ],
)  # fmt: skip
def test_statuses_are_kinds(server: RawServer, transport: Transport, status: int, kind: type[LaminaError]) -> None:
    body = b'{"message": "no"}' if status != 304 else b""
    server.answers = [b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)]
    with pytest.raises(LaminaError) as caught:
        transport.json("GET", "/x")
    assert type(caught.value) is kind
    assert caught.value.facts["status"] == status
    assert status == 304 or caught.value.message == "no"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"SSH-2.0 hello\r\n\r\n", Corrupt),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", Corrupt),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{x}", Corrupt),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n{x}", Unavailable),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20000 + b"\r\n", Corrupt),
        (None, Unavailable),
    ],
)
def test_broken_answers_are_errors(
    server: RawServer, transport: Transport, answer: bytes | None, kind: type[LaminaError]
) -> None:
    server.answers = [answer]
    with pytest.raises(kind):
        transport.json("GET", "/x")


def test_versions_are_negotiated(server: RawServer) -> None:
    def version_with(offer: bytes) -> str:
        server.answers = [b"HTTP/1.1 200 OK\r\n" + offer + b"Content-Length: 0\r\n\r\n"]
        transport = Transport(parse_address(f"unix://{server.path}"))
        try:
            return transport.version
        finally:
            transport.close()

    assert version_with(b"Api-Version: 1.41\r\n") == "1.41"
    assert version_with(b"Api-Version: 1.99\r\n") == "1.50"
    assert version_with(b"") == "1.24"
    for wrong in (b"Api-Version: 1.12\r\n", b"Api-Version: x\r\n"):
        with pytest.raises(InvalidInput):
            version_with(wrong)


def test_a_hijacked_stream_keeps_what_came_early(server: RawServer, transport: Transport) -> None:
    frame = b"\x01\0\0\0\0\0\0\x03out"
    server.answers = [b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n" + frame]
    with transport.hijack("/containers/x/attach", framed=True) as stream:
        text = b""
        for channel, data in stream:
            assert channel == 1
            text += data
            if text == b"out":
                break
    assert b"Upgrade: tcp" in server.requests[0]


def test_nobody_at_home(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot connect"):
        Transport(parse_address(f"unix://{tmp_path}/none")).ping()
    with pytest.raises(Unavailable, match="cannot connect"):
        Transport(parse_address("tcp://127.0.0.1:1")).ping()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("unix:///run/x.sock", "unix:///run/x.sock"),
        ("tcp://h", "tcp://h:2375"),
        ("h:1", "tcp://h:1"),
        ("https://h/p/", "tcp://h:2376/p"),
        ("tcp://[::1]:5", "tcp://[::1]:5"),
        ("ssh://u@h", "ssh://u@h:22"),
    ],
)
def test_addresses(text: str, shown: str) -> None:
    assert str(parse_address(text)) == shown


@pytest.mark.parametrize("text", ["unix://relative", "fd://", "tcp://h:x", "tcp://h:99999", "npipe://x"])
def test_wrong_addresses(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_address(text)


def test_queries_leave_out_nothing_that_counts() -> None:
    assert encode_query({"a": 0, "b": "", "c": ["x", "y"], "d": None}) == "a=0&b=&c=x&c=y"
