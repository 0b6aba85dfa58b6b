"""Input of any size from containers, registries and clients: the daemon's memory stays as it is."""

from __future__ import annotations

import gzip
import http.server
import threading
from collections.abc import Iterator

import pytest

from support.api import Http
from support.floods import send, small
from support.hostile import Target, archive
from support.memory import MIB

pytestmark = pytest.mark.root


def test_a_dockerfile_without_end(target: Target) -> None:
    with small(target):
        pieces = (b"# nothing\n" * 100_000 for _ in range(300))
        answer = send(target, "POST", "/build", pieces, X_Lamina_Context="/tmp")
    assert answer.status == 413


class Bombs(http.server.BaseHTTPRequestHandler):
    """A registry and web server whose every answer is compressed gigabytes, or never ends."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *words: object) -> None:
        """Tests look at answers."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.oci.image.manifest.v1+json")
        if "packed" in self.path:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        packed = gzip.compress(bytes(MIB), 1) if "packed" in self.path else b"x" * MIB
        try:
            for _ in range(500):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(packed), packed))
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            return  # the client has seen enough

    do_HEAD = do_POST = do_GET


@pytest.fixture
def bombs() -> Iterator[str]:
    """The address of a server of Bombs."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bombs) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ["endless", "packed"])
def test_answers_of_registries_without_end(target: Target, bombs: str, name: str) -> None:
    with small(target):
        pulled = target.ask("POST", f"/images/create?fromImage={bombs}/{name}&tag=1")
        assert "error" in pulled.body.decode() or pulled.status >= 400
        assert target.ask("GET", f"/distribution/{bombs}/{name}:1/json").status >= 400
        assert target.ask("GET", f"/images/search?term={bombs}/{name}").status >= 400


@pytest.mark.parametrize("name", ["endless", "packed"])
def test_downloads_of_builds_go_to_the_disk(target: Target, bombs: str, name: str) -> None:
    with small(target):
        said = target.build(f"FROM scratch\nADD http://{bombs}/{name} /d\n")
        assert "Successfully built" in said or "failed to GET" in said
        context = target.ask("POST", f"/build?remote=http://{bombs}/{name}")
        assert "Successfully" not in context.body.decode()


def test_events_and_execs_of_any_size_are_not_remembered(target: Target) -> None:
    """Their commands go into events, and what is created waits for its start."""
    command = ["true", "x" * (7 << 20)]
    with target.running("exec sleep 300") as id, small(target, 300 * MIB):
        statuses = {target.ask("POST", f"/containers/{id}/exec", {"Cmd": command}).status for _ in range(40)}
        assert statuses == {201, 503}


def test_a_client_of_events_that_does_not_read_is_cut_off(target: Target) -> None:
    label = "x" * (4 << 20)
    connection = Http(str(target.daemon.socket)).connect()
    with small(target, 300 * MIB):
        connection.request("GET", "/events")
        id = target.create("true", Labels={"label": label})
        for number in range(60):
            assert target.ask("POST", f"/containers/{id}/rename?name=renamed-{number}").status == 204
        assert len(connection.getresponse().read()) < 60 * len(label)
    connection.close()
    target.remove(id)


def test_names_of_processes_of_any_size(target: Target) -> None:
    """`ps` shows what a container calls its processes."""
    script = (
        "i=0; while [ $i -lt 40 ]; do sh -c 'sleep 300' $(head -c 120000 /dev/zero | tr '\\0' x) & i=$((i+1)); done"
    )
    with target.running(f"{script}; echo ready; exec sleep 300") as id, small(target):
        rows = target.ask("GET", f"/containers/{id}/top")
        assert rows.status in (200, 413)


def test_build_output_without_a_line_end(target: Target) -> None:
    with small(target):
        context = archive({"Dockerfile": b"FROM bb\nRUN dd if=/dev/zero bs=1M count=200 2>/dev/null | tr '\\0' x\n"})
        connection = Http(str(target.daemon.socket)).connect()
        connection.sock.settimeout(180)
        connection.request("POST", "/build?networkmode=none", context, {"Content-Type": "application/x-tar"})
        response = connection.getresponse()
        size = 0
        while piece := response.read(MIB):
            size += len(piece)
        connection.close()
    assert size > 200 * MIB


def test_logs_and_attach_of_clients_that_do_not_read(target: Target) -> None:
    with target.running("exec yes") as id, small(target):
        connections = []
        for path in (f"/containers/{id}/logs?follow=1&stdout=1", f"/containers/{id}/attach?stream=1&stdout=1"):
            connection = Http(str(target.daemon.socket)).connect()
            connection.request("POST" if "attach" in path else "GET", path)
            connections.append(connection)
        target.cli("exec", id, "sh", "-c", "dd if=/dev/zero bs=1M count=100 2>/dev/null | tr '\\0' x")
        for connection in connections:
            connection.close()
