"""Web pages: what a page that somebody visits sends to a daemon or a registry on their machine is refused."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support import api
from support.daemons import Daemon, lamina_daemon
from support.hostile import Target
from support.spawned import Spawned

PAGE = "https://page.example"
OWN_PAGE = "https://ui.example"
SPEC = json.dumps({"Image": "bb", "HostConfig": {"Privileged": True, "Binds": ["/:/host"]}}).encode()
JSON = {"Content-Type": "application/json"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Listener:
    """A TCP address, asked with the headers of whoever is played."""

    port: int

    def __call__(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> api.Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return api.Answer(
                answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
            )
        finally:
            connection.close()


@dataclass(frozen=True)
class Listening:
    daemon: Daemon
    tcp: Listener

    def containers(self) -> list[object]:
        found: list[object] = api.Http(str(self.daemon.socket))("GET", "/containers/json?all=1").json
        return found


@pytest.fixture(scope="module")
def listening(busybox_tar: Path) -> Iterator[Listening]:
    port = _free_port()
    flags = ["--tls=false", "--allowed-host", "engine.example", "--allowed-origin", OWN_PAGE]
    with lamina_daemon("--host", f"tcp://127.0.0.1:{port}", *flags) as daemon:
        Target(daemon, busybox_tar).cli("import", "-c", 'CMD ["sh"]', str(busybox_tar), "bb")
        yield Listening(daemon, Listener(port))


@pytest.mark.root
@pytest.mark.parametrize(
    "kind",
    [
        None,
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; application/json",
        "application/octet-stream",
    ],
)
def test_a_body_that_any_page_may_send_makes_no_container(listening: Listening, kind: str | None) -> None:
    """A page may send a body of these types to any address without asking (Fetch Standard, CORS-safelisted)."""
    message = f"unsupported Content-Type header ({kind}): must be 'application/json'"
    if kind is None:
        message = "malformed Content-Type header (): mime: no media type"
    headers = {"Content-Type": kind} if kind is not None else {}
    for ask in (listening.tcp, api.Http(str(listening.daemon.socket))):
        answer = ask("POST", "/containers/create", SPEC, headers)
        assert (answer.status, answer.json) == (400, {"message": message})
    assert listening.containers() == []


@pytest.mark.root
@pytest.mark.parametrize(
    "path", ["/containers/create", "/volumes/create", "/networks/create", "/auth", "/commit?container=x"]
)
def test_every_endpoint_with_json_looks_at_the_type(listening: Listening, path: str) -> None:
    answer = listening.tcp("POST", path, b'{"Name": "x"}', {"Content-Type": "text/json"})
    assert answer.status == 400
    assert "unsupported Content-Type header" in answer.message


@pytest.mark.root
@pytest.mark.parametrize("kind", ["application/json", "APPLICATION/JSON", "application/json; charset=utf-8"])
def test_json_in_all_its_spellings_is_taken(listening: Listening, kind: str) -> None:
    answer = listening.tcp("POST", "/containers/create", b'{"Image": "absent"}', {"Content-Type": kind})
    assert answer.status == 404


@pytest.mark.root
def test_no_body_needs_no_type(listening: Listening) -> None:
    assert listening.tcp("POST", "/volumes/create").status == 201
    assert listening.tcp("POST", "/volumes/prune").status == 200


@pytest.mark.root
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": PAGE},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://localhost"},
        {"Origin": f"{OWN_PAGE}.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none", "Origin": PAGE},
        {"Sec-Fetch-Site": "same-origin", "Origin": PAGE},
    ],
)
def test_requests_of_pages_are_refused(listening: Listening, headers: dict[str, str]) -> None:
    for ask in (listening.tcp, api.Http(str(listening.daemon.socket))):  # a proxy may stand before the socket
        made = ask("POST", "/containers/create", SPEC, {**JSON, **headers})
        assert made.status == 403
        assert "web page" in made.message
        for request in ("POST /images/create?fromImage=x", "POST /build?remote=http://x/", "DELETE /volumes/x"):
            method, path = request.split()
            answer = ask(method, path, None, headers)
            assert answer.status == 403
            assert not [name for name in answer.headers if name.startswith("access-control")]
    assert listening.containers() == []


WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.mark.root
@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1:{port}", "http://127.0.0.1:{port}", 404),
        ("localhost:{port}", "http://localhost:{port}", 404),
        ("127.0.0.1:{port}", PAGE, 403),
        ("127.0.0.1:{port}", "http://127.0.0.1:1", 403),
        ("127.0.0.1:{port}", "null", 403),
        ("rebound.example:{port}", "http://rebound.example:{port}", 403),
    ],
)
def test_websockets_are_for_programs_only(listening: Listening, host: str, origin: str, status: int) -> None:
    """A page may open a WebSocket to any address, and the browser tells its origin. Programs name the server itself."""
    port = listening.tcp.port
    headers = {**WEBSOCKET, "Host": host.format(port=port), "Origin": origin.format(port=port)}
    for ask in (listening.tcp, api.Http(str(listening.daemon.socket))):
        assert ask("GET", "/containers/nosuch/attach/ws?stream=1&stdout=1", None, headers).status == status


@pytest.mark.root
def test_a_preflight_gets_no_leave(listening: Listening) -> None:
    asks = {"Origin": PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    answer = listening.tcp("OPTIONS", "/containers/create", None, asks)
    assert answer.status == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.root
@pytest.mark.parametrize("headers", [{}, {"Origin": OWN_PAGE}, {"Sec-Fetch-Site": "none"}])
def test_programs_the_named_page_and_typed_addresses_come_in(listening: Listening, headers: dict[str, str]) -> None:
    assert listening.tcp("GET", "/version", None, headers).status == 200


@pytest.mark.root
@pytest.mark.parametrize(
    "host", ["rebound.example:{port}", "127.0.0.1.rebound.example", "localhost.example", "[::1", "a b"]
)
def test_a_name_that_leads_here_by_rebinding_is_refused(listening: Listening, host: str) -> None:
    """The page's own name resolves to 127.0.0.1 by now, so to the browser the daemon is the page's own server."""
    answer = listening.tcp("GET", "/containers/json", None, {"Host": host.format(port=listening.tcp.port)})
    assert answer.status == 403
    assert "allowed-hosts" in answer.message


@pytest.mark.root
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:{port}",
        "[::1]:{port}",
        "localhost:{port}",
        "LOCALHOST.",
        "engine.example:{port}",
        os.uname().nodename,
    ],
)
def test_names_of_this_machine_are_taken(listening: Listening, host: str) -> None:
    named = host.format(port=listening.tcp.port)
    assert listening.tcp("GET", "/_ping", None, {"Host": named}).status == 200


@pytest.mark.root
def test_clients_of_the_socket_may_call_it_as_they_like(listening: Listening) -> None:
    assert api.Http(str(listening.daemon.socket))("GET", "/_ping", None, {"Host": "rebound.example"}).status == 200


@pytest.mark.root
def test_tcp_without_tls_is_only_served_where_that_was_said() -> None:
    with pytest.raises(AssertionError, match="--tls=false"):
        with lamina_daemon("--host", f"tcp://127.0.0.1:{_free_port()}"):
            pass


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Listener]:
    named: dict[str, Any] = {"allowed_hosts": ["registry.example"]}
    with Spawned(tmp_path / "registry", **named) as running:
        yield Listener(int(running.address.rpartition(":")[2]))


@pytest.mark.parametrize(
    "headers", [{"Origin": PAGE}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "rebound.example"}]
)
def test_a_registry_refuses_pages_too(registry: Listener, headers: dict[str, str]) -> None:
    for method, path in (
        ("POST", "/v2/x/blobs/uploads/"),
        ("GET", "/v2/_catalog"),
        ("GET", "/metrics"),
        ("GET", "/healthz"),
    ):
        answer = registry(method, path, None, headers)
        assert answer.status == 403
        assert answer.json["errors"][0]["code"] == "DENIED"
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_registry_is_called_by_its_names(registry: Listener) -> None:
    for host in ("127.0.0.1", "localhost:5000", "registry.example", "registry.example:443"):
        assert registry("GET", "/v2/", None, {"Host": host}).status == 200
