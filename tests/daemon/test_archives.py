"""Large archives through the socket: lengths, slow and vanishing clients, files that fail in the middle."""

from __future__ import annotations

import io
import json
import random
import socket
import tarfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.client import IncompleteRead
from pathlib import Path

import pytest

from support.api import Http
from support.daemons import Daemon

pytestmark = pytest.mark.root
BIG = 6 << 20  # more than any buffer on the way holds


def root_with(content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("big")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


@pytest.fixture(scope="module")
def image(http_: Http) -> Iterator[str]:
    """An image whose one layer is larger than sockets hold."""
    root = root_with(random.Random(5).randbytes(BIG))
    assert http_("POST", "/images/create?fromSrc=-&repo=archived&tag=1", root).status == 200
    yield "archived:1"
    http_("DELETE", "/images/archived:1?force=1")


def names_in(archive: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return opened.getnames()


def everything(http_: Http, request: bytes) -> bytes:
    """What the daemon sends until it closes the connection."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(http_.path)
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def test_a_saved_archive_tells_its_length(http_: Http, image: str) -> None:
    answer = http_("GET", f"/images/{image}/get")

    assert (answer.status, answer.headers["content-type"]) == (200, "application/x-tar")
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert "transfer-encoding" not in answer.headers
    assert {"manifest.json", "index.json", "oci-layout"} <= set(names_in(answer.body))


def test_the_connection_serves_the_next_request(http_: Http, image: str) -> None:
    connection = http_.connect()
    sizes = []
    for target in (f"/images/get?names={image}", "/_ping", f"/images/get?names={image}", "/_ping"):
        connection.request("GET", target)
        sizes.append(len(connection.getresponse().read()))
    connection.close()

    assert sizes[0] == sizes[2] > BIG
    assert sizes[1] == sizes[3] == 2


def test_requests_sent_ahead_are_answered_in_turn(http_: Http, image: str) -> None:
    save = f"GET /images/{image}/get HTTP/1.1\r\nHost: d\r\n\r\n".encode()
    heard = everything(http_, save + save + b"GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")

    first, body = heard.split(b"\r\n\r\n", 1)
    length = int(first.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    second, again = body[length:].split(b"\r\n\r\n", 1)
    assert second.lower() == first.lower()
    assert body[:length] == again[:length]
    assert again[length:].endswith(b"OK")


def test_an_old_client_gets_the_same_bytes(http_: Http, image: str) -> None:
    heard = everything(http_, f"GET /images/{image}/get HTTP/1.0\r\n\r\n".encode())

    assert heard.split(b"\r\n\r\n", 1)[1] == http_("GET", f"/images/{image}/get").body


def test_an_unknown_image_is_an_error_answer(http_: Http, image: str) -> None:
    answer = http_("GET", f"/images/get?names={image}&names=unknown:1")

    assert answer.status == 404
    assert "unknown" in answer.message


def test_clients_that_stop_reading_and_go_away_hurt_nobody(http_: Http, image: str) -> None:
    stalled = []
    for _ in range(12):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(http_.path)
        connection.sendall(f"GET /images/{image}/get HTTP/1.1\r\nHost: d\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        stalled.append(connection)

    assert len(http_("GET", f"/images/{image}/get").body) > BIG
    for connection in stalled:
        connection.close()
    assert len(http_("GET", f"/images/{image}/get").body) > BIG


def test_a_layer_cut_short_cuts_the_connection(http_: Http, daemon: Daemon) -> None:
    root = root_with(random.Random(6).randbytes(BIG))
    assert http_("POST", "/images/create?fromSrc=-&repo=broken&tag=1", root).status == 200
    (diff_id,) = http_("GET", "/images/broken:1/json").json["RootFS"]["Layers"]
    (tar,) = [path for path in _large_files(daemon) if diff_id.partition(":")[2] in str(path)]
    with tar.open("r+b") as file:
        file.truncate(BIG // 2)

    connection = http_.connect()
    connection.request("GET", "/images/broken:1/get")
    with pytest.raises((IncompleteRead, ConnectionError)):
        connection.getresponse().read()

    connection.close()
    assert http_("DELETE", "/images/broken:1").status == 200
    assert http_("GET", "/_ping").status == 200


def _large_files(daemon: Daemon) -> list[Path]:
    found = []
    for path in (daemon.folder / "d").rglob("*"):
        with suppress(FileNotFoundError):
            if path.is_file() and path.stat().st_size >= BIG:
                found.append(path)
    return found


@pytest.mark.parametrize("piece", [1000, 1 << 16, 3 << 20])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
def test_archives_come_in_however_they_are_sent(http_: Http, image: str, piece: int, chunked: bool) -> None:
    archive = http_("GET", f"/images/{image}/get").body
    http_("DELETE", f"/images/{image}?force=1")
    pieces = [archive[at : at + piece] for at in range(0, len(archive), piece)]
    headers = {} if chunked else {"Content-Length": str(len(archive))}
    connection = http_.connect()

    connection.request("POST", "/images/load?quiet=1", iter(pieces), headers, encode_chunked=chunked)
    lines = [json.loads(line) for line in connection.getresponse().read().splitlines()]

    assert lines == [{"stream": f"Loaded image: {image}\n"}]
    connection.request("GET", "/_ping")
    assert connection.getresponse().read() == b"OK"
    connection.close()
    assert http_("GET", f"/images/{image}/get").body == archive


def test_an_archive_that_breaks_off_leaves_nothing(http_: Http, image: str) -> None:
    archive = http_("GET", f"/images/{image}/get").body
    http_("DELETE", f"/images/{image}?force=1")
    connection = http_.connect()
    connection.putrequest("POST", "/images/load")
    connection.putheader("Content-Length", str(len(archive)))
    connection.endheaders(archive[: BIG // 2])
    connection.close()

    assert http_("GET", f"/images/{image}/json").status == 404
    assert b"Loaded image" in http_("POST", "/images/load", archive).body
    assert http_("GET", f"/images/{image}/get").body == archive


def test_many_saves_at_once_are_each_whole(http_: Http, image: str) -> None:
    expected = http_("GET", f"/images/{image}/get").body
    same: list[bool] = []
    threads = [
        threading.Thread(target=lambda: same.append(http_("GET", f"/images/{image}/get").body == expected))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert same == [True] * 6
