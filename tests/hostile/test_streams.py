"""Clients that listen in large numbers, send nothing, or leave without a word: other requests are still answered."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.api import Http
from support.daemons import Daemon
from support.hostile import Target, attacked
from support.waiting import eventually

pytestmark = pytest.mark.root

SLEEP = "exec sleep 300"


def folder_size(daemon: Daemon, name: str) -> int:
    assert daemon.process is not None
    return len(list(Path(f"/proc/{daemon.process.pid}/{name}").iterdir()))


@contextmanager
def opened(http_: Http, requests: list[tuple[str, str]]) -> Iterator[list[http.client.HTTPResponse]]:
    """Send each request on a connection of its own and return the heads of the answers."""
    with ExitStack() as closing:
        connections = []
        for method, path in requests:
            connection = http_.connect()
            closing.callback(connection.close)
            connection.request(method, path)
            connections.append(connection)
        answers = [connection.getresponse() for connection in connections]
        for answer in answers:
            closing.callback(answer.close)
        yield answers


def head_of(client: socket.socket) -> bytes:
    """Receive the head of an answer to its last byte: a client that closes over unread bytes resets the connection."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.recv(1)
    return head


def reading(answer: http.client.HTTPResponse) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(answer.readline())
    return document


def test_many_readers_of_one_containers_stats_share_one_sampler(target: Target) -> None:
    http_ = Http(str(target.daemon.socket))
    with target.running(SLEEP) as id:
        assert http_("GET", f"/containers/{id}/stats?stream=0").status == 200
        threads, descriptors = folder_size(target.daemon, "task"), folder_size(target.daemon, "fd")
        with opened(http_, [("GET", f"/containers/{id}/stats")] * 560) as answers:
            assert {answer.status for answer in answers} == {200}
            moments = set()
            for _ in range(3):
                moments |= {reading(answer)["read"] for answer in answers}
                assert http_("GET", "/_ping").body == b"OK"
                assert http_("GET", "/containers/json").status == 200
            assert len(moments) < 100
        eventually(lambda: folder_size(target.daemon, "fd") <= descriptors + 4, seconds=10)
        eventually(lambda: folder_size(target.daemon, "task") <= threads + 8, seconds=10)


def test_a_reader_that_does_not_read_delays_no_other(target: Target) -> None:
    http_ = Http(str(target.daemon.socket))
    with target.running(SLEEP) as id, opened(http_, [("GET", f"/containers/{id}/stats")] * 2) as (_, other):
        first, second = reading(other), reading(other)
        assert second["preread"] == first["read"]
        assert second["precpu_stats"] == first["cpu_stats"]


def test_uploads_that_never_come_delay_no_other(target: Target) -> None:
    http_ = Http(str(target.daemon.socket))
    with target.running(SLEEP) as id, ExitStack() as closing:
        for _ in range(600):
            connection = http_.connect()
            closing.callback(connection.close)
            connection.putrequest("PUT", f"/containers/{id}/archive?path=/")
            connection.putheader("Content-Length", "1024")
            connection.endheaders()
        assert target.cli.text("exec", id, "echo", "well") == "well\n"
        assert http_("GET", "/containers/json").status == 200


def test_containers_that_do_not_stop_delay_no_other(target: Target) -> None:
    http_ = Http(str(target.daemon.socket))
    with target.running("trap '' TERM; while :; do sleep 1; done") as id, ExitStack() as closing:
        for _ in range(600):
            connection = http_.connect()
            closing.callback(connection.close)
            connection.request("POST", f"/containers/{id}/stop?t=600")
        assert http_("GET", "/containers/json").status == 200
        assert http_("POST", f"/containers/{id}/kill").status == 204


@pytest.fixture(scope="module")
def narrow(busybox_tar: Path) -> Iterator[Target]:
    """A daemon with few descriptors that also listens on a port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with attacked(busybox_tar, "--tls=false", "--host", f"tcp://127.0.0.1:{port}", descriptors=640) as target:
        yield target


def test_more_streams_than_there_is_room_for_are_refused_in_words(narrow: Target) -> None:
    http_ = Http(str(narrow.daemon.socket))
    with opened(http_, [("GET", "/events")] * 120) as answers:
        statuses = [answer.status for answer in answers]
        assert set(statuses) == {200, 503}
        refusal = answers[statuses.index(503)]
        assert refusal.getheader("Content-Type") == "application/json"
        assert "streams" in json.loads(refusal.read())["message"]
        assert narrow.cli.text("run", "--rm", "--network", "none", "bb", "echo", "well") == "well\n"
    eventually(lambda: http_("GET", "/info").json["NEventsListener"] == 0)


def test_more_connections_than_there_is_room_for_are_refused_in_words(narrow: Target) -> None:
    http_ = Http(str(narrow.daemon.socket))
    with ExitStack() as closing:
        connections = [closing.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(700)]
        for connection in connections:
            connection.settimeout(30)
            connection.connect(str(narrow.daemon.socket))
        heard = connections[-1].recv(4096)
        assert heard.startswith(b"HTTP/1.1 503 ")
        assert b"connections" in heard
    eventually(lambda: http_("GET", "/_ping").status == 200)
    assert narrow.cli.text("run", "--rm", "--network", "none", "bb", "echo", "well") == "well\n"


@pytest.mark.parametrize("path", ["/events", "/containers/{id}/logs?follow=1&stdout=1", "/containers/{id}/wait"])
def test_clients_that_leave_a_port_are_missed_at_once(narrow: Target, path: str) -> None:
    """Nothing is written to them that could fail."""
    port = int(narrow.daemon.command[-1].rpartition(":")[2])
    with narrow.running(SLEEP) as id:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            here = client.getsockname()[1]
            method = "POST" if path.endswith("wait") else "GET"
            client.sendall(f"{method} {path.format(id=id)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            assert head_of(client).startswith(b"HTTP/1.1 200")
            assert _held_open(port, here)
        eventually(lambda: not _held_open(port, here), seconds=10)


def _held_open(port: int, client_port: int) -> bool:
    """Tell whether the server has not closed its end of a connection yet (states: include/net/tcp_states.h)."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state = line.split()[:4]
        if local.endswith(f":{port:04X}") and remote.endswith(f":{client_port:04X}"):
            return state in ("01", "08")  # established, or left by the client alone
    return False


def test_a_client_that_leaves_a_silent_container_is_missed_at_once(target: Target) -> None:
    """What it said before it left still arrives."""
    http_ = Http(str(target.daemon.socket))
    id = target.create("sh", "-c", "read line; echo $line > /heard; exec sleep 300", OpenStdin=True)
    assert target.start(id).status == 204
    before = folder_size(target.daemon, "fd")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(target.daemon.socket))
        client.sendall(f"POST /containers/{id}/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: l\r\n\r\n".encode())
        assert head_of(client).startswith(b"HTTP/1.1 200")
        client.sendall(b"farewell\n")
    eventually(lambda: b"farewell" in target.cli("exec", id, "cat", "/heard", check=False).stdout)
    eventually(lambda: folder_size(target.daemon, "fd") <= before, seconds=10)
    assert http_("GET", "/_ping").status == 200
    target.remove(id)
