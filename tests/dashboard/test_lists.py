"""The lists of containers and images in a browser."""

from __future__ import annotations

import pytest

from lamina.client import Client
from lamina.types import Config, HostConfig
from support.browser import Browser

pytestmark = pytest.mark.root
SLEEP = Config(image="base", cmd=("sleep", "1000"))
ALONE = HostConfig(network_mode="none")


def test_containers_come_and_go_without_a_reload(page: Browser, client: Client) -> None:
    page.shows("There are no containers yet")
    with client.containers.group() as group:
        group.create("web", SLEEP, ALONE)
        page.shows("web", "created")
        page.press("Start web")
        page.shows("running", "web started")
        page.press("Pause web")
        page.shows("paused")
        page.press("Resume web")
        page.press("Stop web")
        page.shows("exited")
        page.check_accessibility()
        page.press("Remove web")
        page.shows("Remove web?")
        page.check_accessibility()
        page.press("Remove")
        page.shows("web removed", "There are no containers yet")


def test_containers_of_a_project_stand_together(page: Browser, client: Client) -> None:
    labels = {"com.docker.compose.project": "shop"}
    with client.containers.group() as group:
        group.create("shop-db-1", Config(image="base", labels=labels), ALONE)
        group.create("alone", Config(image="base"), ALONE)
        page.shows("Project shop", "alone")
        (project,) = (body for body in page.all("tbody") if "Project shop" in body.text)
        assert "shop-db-1" in project.text
        assert "alone" not in project.text


def test_images_are_searched_and_sorted(page: Browser, client: Client) -> None:
    page.press("Images")
    page.one("h1", "Images")
    page.one("tbody th", "base:latest")
    client.images.tag("base", "other/name:1")
    page.one("tbody th", "other/name:1")
    page.type("Search", "nothing like it")
    page.shows("Nothing matches")
    page.type("Search", "name:1")
    page.one("tbody th", "other/name:1")
    page.press("Size")
    assert page.one("th[aria-sort]").get_attribute("aria-sort") == "ascending"
    client.images.remove("other/name:1")
    page.shows("Nothing matches")
