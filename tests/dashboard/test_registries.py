"""Registries in a browser: repositories, tags, manifests and pulls, of one's own registry and of hostile ones."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lamina.client import Client
from lamina.credentials import Credentials
from lamina.errors import NotFound
from lamina.registry.config import parse
from lamina.types import BuildRequest, MemoryContext
from support.browser import Browser
from support.engines import Cli
from support.registries import Running

pytestmark = pytest.mark.root
HOSTILE = "<img src=x onerror=alert(1)>\u202egpj.\x1b[2J"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """The address of lamina's registry, which has `shop/web` at two tags."""
    running = Running(parse({"listen": "127.0.0.1:0", "root": tmp_path / "registry"}, "the test"))
    with ExitStack() as stack:
        stack.callback(running.stop)
        yield running.address


@pytest.fixture
def shop(registry: str, client: Client) -> str:
    for tag in ("one", "two"):
        client.images.tag("base", f"{registry}/shop/web:{tag}")
        client.registries.push(f"{registry}/shop/web:{tag}")
        client.images.remove(f"{registry}/shop/web:{tag}")
    return registry


def test_a_registry_is_looked_through_and_pulled_from(page: Browser, client: Client, shop: str) -> None:
    page.press("Registries")
    page.one("h1", "Registries")
    page.shows("docker.io")
    page.check_accessibility()
    page.type("Address of a registry", shop)
    page.press("Open")
    page.one("h1", shop)
    page.press("shop/web")
    page.shows("one", "two", "2 entries")
    page.check_accessibility()
    page.press("one")
    page.one("h1", "shop/web:one")
    document = client.registries.manifest(f"{shop}/shop/web:one")
    page.shows(json.loads(document)["layers"][0]["digest"])
    assert page.one("pre.view").text.split() == document.decode().split()
    page.check_accessibility()
    with pytest.raises(NotFound):
        client.images.get(f"{shop}/shop/web:one")
    page.press(f"Pull {shop}/shop/web:one")
    page.shows("is here now")
    assert client.images.get(f"{shop}/shop/web:one").id == client.images.get("base").id
    page.go("registries")
    page.one("li", shop)
    client.images.remove(f"{shop}/shop/web:one")


def test_names_of_repositories_and_tags_come_by_the_client_too(client: Client, shop: str) -> None:
    assert list(client.registries.repositories(shop)) == ["shop/web"]
    assert sorted(client.registries.tags(f"{shop}/shop/web")) == ["one", "two"]
    assert list(client.registries.tags(f"{shop}/shop/web", limit=1)) == ["one"]
    with pytest.raises(NotFound):
        client.registries.tags(f"{shop}/shop/nothing")


class Guarded(BaseHTTPRequestHandler):
    """A registry that lets nobody in but "me", and whose names are meant for the page that shows them."""

    def do_GET(self) -> None:
        login = self.headers.get("Authorization", "")
        if login != "Basic bWU6c2VjcmV0":
            self.answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": HOSTILE}]})
        elif self.path.startswith("/v2/_catalog"):
            self.answer(200, {"repositories": [HOSTILE, "good"]})
        elif "/tags/list" in self.path:
            self.answer(200, {"name": HOSTILE, "tags": [HOSTILE, "1"]})
        else:
            self.answer(200, {})

    def answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("WWW-Authenticate", 'Basic realm="here"')
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """The page is looked at."""


@pytest.fixture
def guarded() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Guarded) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_an_image_is_looked_at_and_what_that_fetched_is_part_of_the_disk_space(
    page: Browser, client: Client, registry: str, cli: Cli
) -> None:
    name = f"{registry}/far/away:1"
    client.builds.build(MemoryContext("FROM base\nENV a=b\nCOPY a /\n", {"a": b"far"}), BuildRequest(tags=(name,)))
    client.registries.push(name)
    client.images.remove(name)
    client.builds.prune(all=True)
    page.go(f"registries/{registry.replace(':', '%3A')}/repositories/far%2Faway/tags/1")
    table = page.one("table[aria-label=Instructions]")
    rows = [row.text for row in table.find_elements("css selector", "tbody tr")]
    assert ("COPY" in rows[0], "ENV" in rows[1], "none" in rows[1]) == (True, True, True)
    page.check_accessibility()
    assert len(client.explorer.layers(f"registry://{name}")) == 2
    assert sum(client.disk_usage().remote_layers.values()) > 0
    page.go("system")
    page.one("tbody th", "Remote layers")
    page.check_accessibility()
    (line,) = (line for line in cli.text("system", "df").splitlines() if line.startswith("Remote Layers"))
    assert line.split()[2:4] == ["1", "0"]


def test_logins_stay_in_the_window_and_hostile_names_stay_texts(page: Browser, client: Client, guarded: str) -> None:
    page.go(f"registries/{guarded}")
    page.one(".problem", "does not list")
    assert all("401" in line for line in page.console())  # the browser notes the refusal
    page.press("Log in")
    page.type("Name", "me")
    page.type("Password or token", "secret")
    page.check_accessibility()
    page.one("dialog button.primary").click()
    page.shows(f"Logged in to {guarded}", "2 entries", "⟨U+202E⟩", "<img src=x")
    assert not page.all("img, script:not([src], #first-answers)")
    page.check_accessibility()
    page.press("good")
    page.shows("2 entries", "⟨U+001B⟩[2J")
    assert not page.all("main img")
    assert client.registries.repositories(guarded, credentials=Credentials("me", "secret"))
    page.driver.refresh()
    page.shows("Log in")  # a reload forgets who one is
    page.one(".message.error")
    assert all("401" in line for line in page.console())
