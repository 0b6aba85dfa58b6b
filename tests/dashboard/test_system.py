"""The system in a browser: disk space, events as they happen, and what the daemon is."""

from __future__ import annotations

import platform

import pytest
from selenium.webdriver.support.select import Select

from lamina.client import Client
from support.browser import Browser

pytestmark = pytest.mark.root


def test_disk_space_is_drawn_and_follows(page: Browser, client: Client) -> None:
    page.press("System")
    page.one("h1", "System")
    page.one("svg.drawing")
    kinds = [cell.text for cell in page.all("table[aria-label='Disk space'] tbody th")]
    assert kinds[:4] == ["Images", "Containers", "Volumes", "Build cache"]
    assert len(page.all(".part.used")) == len(kinds)
    page.check_accessibility()

    def volumes() -> str:
        return page.all("table[aria-label='Disk space'] tbody tr")[2].text

    before = volumes()
    client.volumes.create("one-more")
    page.wait(lambda: volumes() != before, "the table does not follow")
    client.volumes.remove("one-more")
    page.wait(lambda: volumes() == before, "the table does not follow")


def test_events_are_followed_and_filtered(page: Browser, client: Client) -> None:
    page.go("system/events")
    page.one("h1", "Events")
    client.volumes.create("heard")
    page.shows("heard")
    client.images.tag("base", "heard-too")
    page.shows("heard-too")
    page.check_accessibility()
    page.type("Search", "HEARD-TOO")
    page.wait(lambda: "volume" not in page.one("tbody").text, "the search hides nothing")
    page.labelled("Search").clear()
    page.type("Search", "heard")
    Select(page.labelled("Kind")).select_by_value("volume")
    page.wait(lambda: "image" not in page.one("tbody").text, "the kind is not heeded")
    client.volumes.remove("heard")
    page.one("tbody", "destroy")
    client.images.remove("heard-too")


def test_what_the_daemon_is(page: Browser) -> None:
    page.go("system/about")
    page.shows("Processors", "Cgroups", platform.release(), '"ApiVersion"')
    page.check_accessibility()
