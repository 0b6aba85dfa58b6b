"""Who the dashboard lets in: links that work once, sessions, and requests that web pages of others would send."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

import lamina
from lamina.client import Client
from lamina.dashboard.access import HEADER, Access
from lamina.dashboard.server import Dashboard
from lamina.errors import Forbidden, InvalidInput, Unauthorized
from lamina.types import Config, HostConfig
from support.daemons import lamina_daemon
from support.waiting import eventually


@dataclass
class Visitor:
    """An HTTP client of a dashboard, which sends what it is told to."""

    port: int
    cookie: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def __call__(self, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = {"Host": f"lamina.localhost:{self.port}", **self.headers, **headers}
        if self.cookie:
            sent["Cookie"] = self.cookie
        try:
            connection.request(method, path, headers={name.replace("_", "-"): value for name, value in sent.items()})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    @property
    def own(self) -> dict[str, str]:
        """Return the headers that the dashboard's page sends with a change."""
        return {"Origin": f"http://lamina.localhost:{self.port}", HEADER: "1"}


@pytest.fixture
def link(client: Client) -> str:
    return client.dashboard_link()


@pytest.fixture
def visitor(link: str) -> Visitor:
    """Somebody who is signed in."""
    visitor = Visitor(urlsplit(link).port or 0)
    status, headers, _ = visitor("GET", f"/enter?{urlsplit(link).query}")
    assert status == 200
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(headers["set-cookie"].split("; "))
    visitor.cookie = headers["set-cookie"].partition(";")[0]
    return visitor


pytestmark = pytest.mark.root


def test_a_link_works_once(visitor: Visitor, link: str) -> None:
    assert visitor("GET", "/")[0] == 200
    status, headers, body = Visitor(visitor.port)("GET", f"/enter?{urlsplit(link).query}")
    assert (status, b"has been used" in body, "set-cookie" in headers) == (401, True, False)


@pytest.mark.parametrize("path", ["/", "/static/x/app.js", "/api/info", "/stream/events", "/socket/x"])
def test_nothing_is_served_to_strangers(visitor: Visitor, path: str) -> None:
    stranger = Visitor(visitor.port)
    assert stranger("GET", path)[0] == 401
    stranger.cookie = visitor.cookie[:-1]
    assert stranger("GET", path)[0] == 401
    stranger.cookie = visitor.cookie
    assert stranger("GET", path)[0] in (200, 403)  # the WebSockets need an origin


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "lamina.localhost", "lamina.localhost:1", ""])
def test_other_names_are_refused(visitor: Visitor, host: str) -> None:
    assert visitor("GET", "/api/info", Host=host.format(port=visitor.port))[0] in (400, 403)


def test_pages_of_others_can_change_nothing(visitor: Visitor) -> None:
    def change(**headers: str) -> int:
        return visitor("POST", "/api/containers/prune", **headers)[0]

    own = visitor.own
    assert change(**own) == 200
    assert change(Origin=own["Origin"]) == 403
    assert change(**{HEADER: "1"}) == 403
    assert change(**(own | {"Origin": "http://evil.example"})) == 403
    assert change(**(own | {"Origin": f"http://127.0.0.1:{visitor.port}"})) == 403
    assert change(**own, Sec_Fetch_Site="cross-site") == 403
    assert change(**own, Sec_Fetch_Site="same-site") == 403


def test_pages_of_others_read_nothing(visitor: Visitor) -> None:
    assert visitor("GET", "/api/info", Sec_Fetch_Site="cross-site")[0] == 403
    assert visitor("GET", "/api/info", Sec_Fetch_Site="same-origin")[0] == 200
    for path in ("/stream/events", "/socket/exec/x/ws"):
        assert visitor("GET", path, Origin="http://evil.example", Upgrade="websocket", Connection="Upgrade")[0] == 403


def test_no_answer_of_the_daemon_is_a_page(visitor: Visitor) -> None:
    status, headers, _ = visitor("GET", "/api/info")
    assert status == 200
    assert "sandbox" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers


def test_the_page_runs_no_code_but_its_own(visitor: Visitor) -> None:
    _, headers, _ = visitor("GET", "/")
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "img-src", "connect-src")} == {"'self'"}


def test_what_comes_with_the_page_ends_no_element(visitor: Visitor, client: Client) -> None:
    evil = "</script><script>evil()</script>"
    config = Config(image="base", labels={"evil": evil})
    with client.containers.group() as group:
        group.create("evil", config, HostConfig(network_mode="none"))
        _, headers, body = visitor("GET", "/")
    assert headers["cache-control"] == "no-store"
    first = body.partition(b'id="first-answers">')[2].partition(b"</script>")[0]
    assert json.loads(first)["answers"]["/containers/json?all=1"][0]["Labels"] == {"evil": evil}
    assert body.count(b"<script") == 2  # this element, and the page's module


def test_a_long_list_does_not_come_with_the_page(visitor: Visitor, client: Client) -> None:
    config = Config(image="base", labels={"long": "x" * 70_000})
    with client.containers.group() as group:
        group.create("long", config, HostConfig(network_mode="none"))
        _, _, body = visitor("GET", "/")
    assert json.loads(body.partition(b'id="first-answers">')[2].partition(b"</script>")[0])["answers"] == {}


def test_files_are_kept_by_their_version(visitor: Visitor) -> None:
    _, _, body = visitor("GET", "/")
    path = next(part for part in body.decode().split('"') if part.endswith("/app.js"))
    assert "immutable" in visitor("GET", f"/{path}")[1]["cache-control"]
    assert visitor("GET", "/static/another/app.js")[1]["cache-control"] == "no-store"


def test_the_daemon_gets_no_header_of_the_browser(visitor: Visitor) -> None:
    """The daemon refuses web pages: an answer shows that it did not see the page's origin."""
    assert visitor("GET", "/api/info", **visitor.own)[0] == 200


def test_errors_of_the_daemon_arrive(visitor: Visitor) -> None:
    status, _, body = visitor("GET", "/api/containers/none-such/json")
    assert (status, json.loads(body)["message"]) == (404, "No such container: none-such")


def test_paths_lead_out_of_nothing(visitor: Visitor) -> None:
    for path in ("/../access.py", "/static/x/../../access.py", "/static/x/%2e%2e/access.py", "/static/x/vendor"):
        assert visitor("GET", path)[0] in (400, 404)


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:80", "name:80", "127.0.0.1", "127.0.0.1:99999"])
def test_only_this_machine_is_served(address: str) -> None:
    with pytest.raises(InvalidInput):
        Dashboard(address)


def test_open_connections_are_bounded_and_are_not_the_apis() -> None:
    """Every program of the machine may connect to the port."""
    with (
        lamina_daemon("--dashboard", "127.0.0.1:0", descriptors=240) as daemon,
        lamina.connect(daemon.host) as client,
        ExitStack() as stack,
    ):
        port = urlsplit(client.dashboard_link()).port or 0

        def connection() -> socket.socket:
            return stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))

        def is_served(connection: socket.socket) -> bool:
            try:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                return connection.recv(12) == b"HTTP/1.1 403"
            except ConnectionError:
                return False

        connections = [connection() for _ in range(21)]
        served = [is_served(one) for one in connections]
        assert served == [True] * 20 + [False]
        assert client.ping()
        connections[0].close()
        eventually(lambda: is_served(connection()))


def entered(access: Access) -> dict[str, str]:
    return {access.cookie: access.enter(access.link().partition("token=")[2])}


def refused(kind: type[Exception], call: Callable[..., Any], *arguments: Any) -> None:
    with pytest.raises(kind):
        call(*arguments)


def test_links_and_sessions_end() -> None:
    now = [0.0]
    access = Access(80, clock=lambda: now[0])
    late = access.link().partition("token=")[2]
    cookies = entered(access)
    now[0] += 601
    refused(Unauthorized, access.enter, late)
    for _ in range(3):
        now[0] += 11 * 3600
        access.check_session(cookies)  # each use extends it
    now[0] += 13 * 3600
    refused(Unauthorized, access.check_session, cookies)


def test_the_newest_sessions_are_kept() -> None:
    access = Access(80)
    first, second = entered(access), entered(access)
    for _ in range(254):
        entered(access)
    access.check_session(first)
    entered(access)
    access.check_session(first)  # it was used later than the second
    refused(Unauthorized, access.check_session, second)


def test_read_only_means_no_change() -> None:
    access = Access(80, read_only=True)
    own = {"Host": "localhost:80", "Origin": "http://localhost:80", HEADER: "1"}
    access.check_request("GET", own)
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        refused(Forbidden, access.check_request, method, own)
    Access(80).check_request("POST", own)
