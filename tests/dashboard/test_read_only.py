"""A read-only dashboard: every page shows what it shows, none offers a change, and the server refuses all changes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from lamina.client import Client
from lamina.registry.config import parse
from lamina.types import BuildRequest, Config, HostConfig, MemoryContext
from support.browser import Browser, own_dashboard
from support.daemons import Daemon
from support.registries import Running

pytestmark = pytest.mark.root

PAGES = """
    const [done] = arguments;
    const app = document.querySelector('script[src$="/app.js"]').src;
    import(new URL("pages.js", app)).then(({ PAGES }) => done(PAGES.map((page) => [page.path, !!page.isChange])));
"""
# What one may press without changing anything, besides the headings that sort and what only fills in a search.
HARMLESS = {
    "Previous",
    "Next",
    "Open",
    "Download",
    "Download the record",
    "Reload",
    "Blame",
    "Copy",
    "Show differences",
    "All layers",
}
TRY = """
    const [method, target, done] = arguments;
    fetch(`/api${target}`, { method, headers: { "X-Lamina-Dashboard": "1" } })
        .then(async (answer) => done([answer.status, (await answer.json()).message]));
"""


@dataclass
class Objects:
    """One of each kind of thing that has pages, by the variable parts of their addresses."""

    container: str
    record: str
    network: str
    registry: str

    def address(self, page: str) -> str:
        """Return the address of a page about these objects."""
        registry = self.registry.replace(":", "%3A")
        parts = {
            "containers/:id": f"containers/{self.container}",
            "images/:id": "images/seen",
            "builds/live/:key": "builds/live/1",
            "builds/records/:ref": f"builds/records/{self.record}",
            "volumes/:name": "volumes/seen",
            "networks/:id": f"networks/{self.network}",
            "registries/:registry": f"registries/{registry}",
            "repositories/:name": "repositories/seen",
            "tags/:tag": "tags/1",
        }
        for variable, part in parts.items():
            page = page.replace(variable, part)
        assert ":" not in page, "a page whose variable parts are not known here"
        return page


@pytest.fixture(scope="module")
def objects(client: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Objects]:
    settings = {"listen": "127.0.0.1:0", "root": tmp_path_factory.mktemp("registry")}
    with ExitStack() as stack:
        registry = Running(parse(settings, "the test"))
        stack.callback(registry.stop)
        context = MemoryContext("FROM base\nRUN echo seen > /seen\n", {})
        client.builds.build(context, BuildRequest(tags=("seen",), network="none"))
        stack.callback(client.images.remove, "seen")
        record = client.builds.history()[0].ref
        stack.callback(client.builds.remove_record, record)
        remote = f"{registry.address}/seen:1"
        client.images.tag("base", remote)
        client.registries.push(remote)
        client.images.remove(remote)
        client.volumes.create("seen")
        stack.callback(client.volumes.remove, "seen")
        group = stack.enter_context(client.containers.group())
        container = group.create("seen", Config(image="seen", cmd=("sleep", "1000")), HostConfig(network_mode="none"))
        client.containers.start(container.id)
        yield Objects(container.id, record, client.networks.get("bridge").id, registry.address)


@pytest.fixture
def page(window: Browser, daemon: Daemon, objects: Objects) -> Iterator[Browser]:
    """A read-only dashboard of the daemon, just opened."""
    window.driver.get("about:blank")
    window.console()
    with own_dashboard(window, daemon.host):
        yield window


def buttons(page: Browser) -> set[str]:
    """Return what the page offers to press, but for sorting, views of files, and links to other pages."""
    names = page.driver.execute_script(
        "return [...document.querySelectorAll('main button:not(.sort, .quiet), main a.button, main input[type=file]')]"
        ".map((control) => control.textContent.trim() || control.getAttribute('aria-label') || control.type)"
    )
    return set(names)


def test_every_page_shows_and_offers_no_change(page: Browser, objects: Objects) -> None:
    pages = page.driver.execute_async_script(PAGES)
    assert len(pages) >= 30
    offers: dict[str, set[str]] = {}
    for path, is_change in pages:
        page.go(objects.address(path))
        page.one("h1")
        if is_change:
            page.shows("shows everything and changes nothing")
        page.wait(lambda: len(page.all("main > *")) > 1, f"{path} is empty")
        assert not page.all(".message.error"), path
        offers[path] = buttons(page) - HARMLESS
    assert {path: names for path, names in offers.items() if names} == {}
    assert page.console() == []


def routes() -> list[tuple[str, str]]:
    """Return every change that the daemon's routes know, with a word for each variable part."""
    from lamina.daemon import routes as folder

    found = set()
    for source in Path(folder.__path__[0]).rglob("*.py"):
        for method, path in re.findall(r'Route\(\s*"(POST|PUT|DELETE|PATCH)",\s*"([^"]+)"', source.read_text()):
            found.add((method, re.sub(r"\{[^}]*\}", "seen", path)))
    return sorted(found)


def test_the_server_refuses_every_change(page: Browser, client: Client, objects: Objects) -> None:
    changes = routes()
    assert len(changes) > 40
    for method, path in changes:
        status, message = page.driver.execute_async_script(TRY, method, path)
        assert (status, message) == (403, "this dashboard is read-only"), (method, path)
    joined = page.driver.execute_async_script(
        "const [done] = arguments; const socket = new WebSocket(`ws://${location.host}/socket/containers/seen/attach/ws`);"
        "socket.onopen = () => done('open'); socket.onerror = () => done('refused');"
    )
    assert joined == "refused"
    assert client.containers.get(objects.container).state.running
    assert page.console()  # the browser notes each refusal
