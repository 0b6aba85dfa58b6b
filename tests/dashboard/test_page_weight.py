"""What the first page weighs, and whom the pages ask: counted by the browser, which sees every request."""

from __future__ import annotations

from typing import Any

import pytest

from lamina.client import Client
from support.browser import Browser

pytestmark = pytest.mark.root
MOST_BYTES = 150_000
PAGES = ("containers", "images", "builds", "builds/cache", "volumes", "networks", "system", "registries")


def requests(page: Browser) -> list[dict[str, Any]]:
    """Return what the browser has asked for since the page was opened: names, and bytes over the network."""
    script = """
        const entries = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
        return entries.map((entry) => ({ name: entry.name, bytes: entry.transferSize }));
    """
    entries: list[dict[str, Any]] = page.driver.execute_script(script)
    return entries


def test_the_first_page_is_light(page: Browser) -> None:
    page.driver.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})
    page.driver.refresh()
    page.shows("There are no containers yet")
    page.driver.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": False})
    total = sum(entry["bytes"] for entry in requests(page))
    assert 0 < total < MOST_BYTES
    assert not any("vendor/" in entry["name"] for entry in requests(page))


def test_no_request_leaves_the_dashboard_and_lists_are_not_polled(page: Browser, client: Client) -> None:
    origin = page.driver.execute_script("return location.origin")
    for address in PAGES:
        page.go(address)
        page.one("h1")
    assert {entry["name"].startswith(f"{origin}/") for entry in requests(page)} == {True}
    page.go("volumes")
    page.shows("There are no volumes yet")
    before = sum("/api/volumes" in entry["name"] for entry in requests(page))
    client.volumes.create("seen")  # one event, and so one more look at the list
    page.shows("seen")
    assert sum("/api/volumes" in entry["name"] for entry in requests(page)) == before + 1
    client.volumes.remove("seen")
    page.shows("There are no volumes yet")
    assert sum("/api/volumes" in entry["name"] for entry in requests(page)) == before + 2
