"""Bodies that are files, in both directions, against a server that counts every byte."""

from __future__ import annotations

import gzip
import io
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, cast

import pytest

from lamina.client.address import parse_address
from lamina.client.transport import Transport
from lamina.errors import Conflict, Unavailable
from support.rawserver import RawServer

BODY = bytes(range(256)) * 5000  # 1.28 MB: more than sockets and pipes hold


def with_length(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def in_chunks(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


ANSWERS = {
    "length": with_length(BODY),
    "small chunks": in_chunks(BODY, 1000),
    "large chunks": in_chunks(BODY, 400_000),
    "until the end": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BODY,
    "nothing": with_length(b""),
    "no chunk": in_chunks(b"", 1),
}


@pytest.fixture
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawServer]:
    peer = RawServer(tmp_path_factory.mktemp("p"), hangs_up=True)
    yield peer
    peer.close()


@pytest.fixture
def transport(peer: RawServer) -> Iterator[Transport]:
    transport = Transport(parse_address(f"unix://{peer.path}"), version="1.41")
    yield transport
    transport.close()


def _buffered(path: Path) -> IO[bytes]:
    return path.open("wb")


def _raw(path: Path) -> IO[bytes]:
    return path.open("wb", buffering=0)


def _appending(path: Path) -> IO[bytes]:
    return path.open("ab")


def _written_before(path: Path) -> IO[bytes]:
    file = path.open("wb")
    file.write(b"")
    return file


@pytest.mark.parametrize("opened", [_buffered, _raw, _appending, _written_before])
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_every_framing_into_every_file(
    peer: RawServer, transport: Transport, tmp_path: Path, answer: bytes, opened: Callable[[Path], IO[bytes]]
) -> None:
    peer.otherwise = answer
    with opened(tmp_path / "out") as sink:
        transport.call("GET", "/x").pour(sink)
        sink.write(b"behind")

    expected = BODY if len(answer) > len(BODY) else b""
    assert (tmp_path / "out").read_bytes() == expected + b"behind"


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_every_framing_into_what_is_no_plain_file(
    peer: RawServer, transport: Transport, tmp_path: Path, answer: bytes
) -> None:
    peer.otherwise, sink = answer, io.BytesIO()
    transport.call("GET", "/x").pour(sink)
    with gzip.open(tmp_path / "out.gz", "wb", compresslevel=1) as packed:
        transport.call("GET", "/x").pour(cast(IO[bytes], packed))

    assert gzip.decompress((tmp_path / "out.gz").read_bytes()) == sink.getvalue()
    assert sink.getvalue() == (BODY if len(answer) > len(BODY) else b"")


def test_into_a_pipe(peer: RawServer, transport: Transport) -> None:
    peer.otherwise = ANSWERS["length"]
    reading, writing = os.pipe()
    heard: list[bytes] = []
    with open(reading, "rb") as source:
        thread = threading.Thread(target=lambda: heard.append(source.read()))
        thread.start()
        with open(writing, "wb") as sink:
            transport.call("GET", "/x").pour(sink)
        thread.join()

    assert heard == [BODY]


@pytest.mark.parametrize("kind", ["length", "small chunks", "large chunks"])
def test_an_answer_that_breaks_off_is_no_whole_one(
    peer: RawServer, transport: Transport, tmp_path: Path, kind: str
) -> None:
    peer.otherwise = ANSWERS[kind][:-600_000]

    with pytest.raises(Unavailable), (tmp_path / "out").open("wb") as sink:
        transport.call("GET", "/x").pour(sink)


def test_a_full_disk_is_told_as_one(peer: RawServer, transport: Transport) -> None:
    peer.otherwise = ANSWERS["length"]

    with pytest.raises(OSError, match="No space left"), open("/dev/full", "wb", buffering=0) as sink:
        transport.call("GET", "/x").pour(sink)


@pytest.mark.parametrize("start", [0, 1000, len(BODY), len(BODY) + 5])
def test_a_file_goes_out_with_its_length(peer: RawServer, transport: Transport, tmp_path: Path, start: int) -> None:
    (tmp_path / "in").write_bytes(BODY)
    with (tmp_path / "in").open("rb") as source:
        source.seek(start)
        transport.json("POST", "/x", body=source)

    assert b"Content-Length: %d\r\n" % len(BODY[start:]) in peer.head + b"\r\n"
    assert b"chunked" not in peer.head
    assert peer.body == BODY[start:]


def test_other_streams_go_out_in_chunks(peer: RawServer, transport: Transport, tmp_path: Path) -> None:
    (tmp_path / "in.gz").write_bytes(gzip.compress(BODY, 1))
    with gzip.open(tmp_path / "in.gz") as packed:
        transport.json("POST", "/x", body=packed)

    assert b"chunked" in peer.head
    assert peer.body == in_chunks(BODY, 1 << 20).partition(b"\r\n\r\n")[2]


def test_a_pipe_goes_out_as_it_fills(peer: RawServer, transport: Transport) -> None:
    reading, writing = os.pipe()

    def fill() -> None:
        with open(writing, "wb") as sink:
            sink.write(BODY)

    thread = threading.Thread(target=fill)
    thread.start()
    with open(reading, "rb") as source:
        transport.json("POST", "/x", body=source)
    thread.join()

    assert peer.body == in_chunks(BODY, 1 << 20).partition(b"\r\n\r\n")[2]


def test_a_file_that_shrinks_on_its_way_ends_the_request(peer: RawServer, transport: Transport, tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.touch()
    os.truncate(path, 64 << 20)  # sparse, and far more than the sockets hold
    peer.at_first = lambda: os.truncate(path, 1 << 20)

    with pytest.raises(Conflict, match="became shorter"), path.open("rb") as source:
        transport.json("POST", "/x", body=source)
