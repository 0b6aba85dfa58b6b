"""What servers can make the engine fetch, which asks from inside the machine."""

from __future__ import annotations

import http.server
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, unquote

import pytest

from lamina.builder.download import download
from lamina.errors import Forbidden, InvalidInput, Unavailable
from support.workshop import Workshop

pytestmark = pytest.mark.root

OUTSIDE = "10.9.0.1"
METADATA = ("169.254.169.254", "100.100.100.200", "fd00:ec2::254")


class Server(http.server.ThreadingHTTPServer):
    """Redirects `/to/URL` to that URL, and answers all else with the path that was asked for, which it remembers."""

    def __init__(self, address: str) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.asked: list[str] = []
        self.agents: set[str | None] = set()
        super().__init__((address, 0), _Handler)
        host = f"[{address}]" if ":" in address else address
        self.url = f"http://{host}:{self.server_address[1]}"

    def to(self, url: str) -> str:
        return f"{self.url}/to/{quote(url, safe='')}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.agents.add(self.headers["User-Agent"])
        redirect = self.path.startswith("/to/")
        self.send_response(302 if redirect else 200)
        if redirect:
            self.send_header("Location", unquote(self.path.removeprefix("/to/")))
        body = b"" if redirect else self.path.encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        return


@contextmanager
def serving(address: str) -> Iterator[Server]:
    with Server(address) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def outside(machine: None) -> Iterator[Server]:
    """A server at an address that is not the loopback's."""
    subprocess.run(["ip", "link", "add", "wire", "type", "bridge"], check=True)
    subprocess.run(["ip", "link", "set", "wire", "up"], check=True)
    for address in (OUTSIDE, *METADATA):
        more = ("nodad",) if ":" in address else ()
        subprocess.run(["ip", "addr", "add", address, "dev", "wire", *more], check=True)
    with serving(OUTSIDE) as server:
        yield server


@pytest.fixture
def loopback(machine: None) -> Iterator[Server]:
    with serving("127.0.0.1") as server:
        yield server


def fetched(url: str) -> str:
    with download(url) as answer:
        return answer.read(100).decode()


def test_redirects_between_equals_are_followed(outside: Server, loopback: Server) -> None:
    assert fetched(outside.to(f"{outside.url}/a")) == "/a"
    assert fetched(outside.to("/b")) == "/b"
    assert fetched(loopback.to(f"{loopback.url}/c")) == "/c"
    assert fetched(loopback.to(loopback.to(f"{outside.url}/d"))) == "/d"
    assert fetched(f"{loopback.url}/e") == "/e", "who writes the loopback's address means it"
    assert outside.agents == loopback.agents == {"lamina"}, "servers are told who asks"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "2130706433", "127.1", "[::ffff:127.0.0.1]"])
def test_a_server_elsewhere_does_not_lead_to_the_loopback(outside: Server, loopback: Server, host: str) -> None:
    target = f"http://{host}:{loopback.server_address[1]}/secret"
    for url in (outside.to(target), outside.to(outside.to(target)), loopback.to(outside.to(target))):
        with pytest.raises(Forbidden, match="loopback of this machine"):
            fetched(url)
    assert "/secret" not in loopback.asked


@pytest.mark.parametrize("address", METADATA)
def test_metadata_services_are_not_asked(outside: Server, loopback: Server, address: str) -> None:
    with serving(address) as service:
        target = f"{service.url}/credentials"
        for url in (target, outside.to(target), loopback.to(target)):
            with pytest.raises(Forbidden, match="where clouds keep credentials"):
                fetched(url)
        assert service.asked == []


@pytest.mark.parametrize("target", ["file:///etc/passwd", "FILE:///etc/passwd", "ftp://127.0.0.1/x", "unix:///run/x"])
def test_redirects_leave_the_web_for_nothing(outside: Server, target: str) -> None:
    with pytest.raises(Forbidden, match=r"redirects to an address of the kind (file|ftp|unix):"):
        fetched(outside.to(target))


@pytest.mark.parametrize("target", ["http://[::1/x", "http://10.9.0.1:port/x", "http://10.9.0.1:99999/x"])
def test_redirects_to_what_is_no_address_are_errors(outside: Server, target: str) -> None:
    with pytest.raises(Unavailable, match="an address that cannot be read"):
        fetched(outside.to(target))
    with pytest.raises(InvalidInput, match="no host, or a port that is no number"):
        fetched(target)


def test_redirects_come_to_an_end(outside: Server) -> None:
    url = f"{outside.url}/end"
    for _ in range(10):
        url = outside.to(url)
    assert fetched(url) == "/end"
    with pytest.raises(Unavailable, match="more than 10 times"):
        fetched(outside.to(url))


def test_a_proxy_is_asked_wherever_it_is(outside: Server, loopback: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", loopback.url)
    assert fetched(f"{outside.url}/a") == f"{outside.url}/a", "the proxy answered, and it is on the loopback"
    with pytest.raises(Forbidden):
        fetched("http://169.254.169.254/credentials")
    assert all("credentials" not in path for path in loopback.asked)


def test_add_says_why_it_does_not_fetch(workshop: Workshop, outside: Server, loopback: Server) -> None:
    with pytest.raises(InvalidInput, match=r"failed to GET http://10\.9\.0\.1:.*loopback of this machine"):
        workshop.build(f"FROM scratch\nADD {outside.to(loopback.url)}/secret /\n")
    with pytest.raises(InvalidInput, match="where clouds keep credentials"):
        workshop.build("FROM scratch\nADD http://169.254.169.254/credentials /\n")
    assert loopback.asked == []
