"""What the first page weighs, and whom the pages ask: counted by the browser, which sees every request."""

from __future__ import annotations

from typing import Any

import pytest

from lamina.client import Client
from lamina.types import Config, HostConfig
from support.browser import Browser

pytestmark = pytest.mark.root
MOST_BYTES = 150_000
MOST_REQUESTS = 13  # the page, its style and icon, and the modules of the list
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
    entries = requests(page)
    total = sum(entry["bytes"] for entry in entries)
    assert 0 < total < MOST_BYTES
    assert len(entries) <= MOST_REQUESTS
    assert not any("vendor/" in entry["name"] for entry in entries)


def test_the_first_page_shows_its_list_without_asking_for_it(page: Browser) -> None:
    page.driver.refresh()
    page.shows("There are no containers yet")
    assert not any("/api/" in entry["name"] for entry in requests(page))


def test_what_the_browser_has_is_not_sent_again(page: Browser) -> None:
    page.driver.refresh()
    page.shows("There are no containers yet")
    first, *others = requests(page)
    assert first["bytes"] > 0
    assert [entry["bytes"] for entry in others] == [0] * len(others)
    assert len(others) >= 10


def test_a_list_that_came_with_the_page_is_asked_for_after_each_event(page: Browser, client: Client) -> None:
    page.driver.refresh()
    page.shows("There are no containers yet")
    with client.containers.group() as group:
        group.create("later", Config(image="base"), HostConfig(network_mode="none"))
        page.shows("later")
        page.go("images")
        page.one("h1", "Images")
        group.create("meanwhile", Config(image="base"), HostConfig(network_mode="none"))
        page.go("containers")
        page.shows("meanwhile")
    page.shows("There are no containers yet")


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
