"""Volumes and networks in a browser: made, looked at, removed; and the drawing of who reaches whom."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lamina.client import Client
from lamina.types import Config, HostConfig, NetworkOptions
from support.browser import Browser

pytestmark = pytest.mark.root
SLEEP = Config(image="base", cmd=("sleep", "1000"))


def test_a_volume_is_made_looked_at_and_removed(page: Browser, client: Client) -> None:
    page.press("Volumes")
    page.press("Create a volume")
    page.type("Name (empty for a random one)", "shelf")
    page.type("Labels, one NAME=VALUE a line", "tier=db\nowner=me=too")
    page.check_accessibility()
    page.press("Create")
    page.shows("shelf created", "1 entry")
    assert dict(client.volumes.get("shelf").labels) == {"tier": "db", "owner": "me=too"}
    with client.containers.group() as group:
        group.create("reader", SLEEP, HostConfig(network_mode="none", binds=("shelf:/data",)))
        page.one("tbody td", "reader")
        page.check_accessibility()
        page.press("shelf")
        page.one("h1", "shelf")
        page.shows("reader", "me=too", "/_data")
        page.check_accessibility()
        page.press("Remove shelf")
        page.shows("used by reader")
        page.press("Remove")
        page.one("dialog .problem", "in use")
        page.press("Cancel")
        assert all("409" in line for line in page.console())  # the browser notes the refusal
    page.shows("no container")
    page.press("Remove shelf")
    page.press("Remove")
    page.one("h1", "Volumes")
    page.shows("There are no volumes yet")


def test_unused_volumes_go_after_the_plan_was_shown(page: Browser, client: Client) -> None:
    for name in ("first", "second"):
        client.volumes.create(name)
    with client.containers.group() as group:
        group.create("holder", SLEEP, HostConfig(network_mode="none", binds=("used:/data",)))
        page.go("volumes")
        page.shows("3 entries")
        page.press("Remove unused volumes")
        plan = page.one("dialog .plan")
        assert [line.text.partition(" ")[0] for line in plan.find_elements("css selector", "li")] == ["first", "second"]
        page.check_accessibility()
        page.press("Remove all of these")
        page.shows("freed", "1 entry")
        assert [volume.name for volume in client.volumes.list()] == ["used"]
        page.press("Remove unused volumes")
        page.shows("Every volume is in use")
    client.volumes.remove("used")


@pytest.fixture
def joined(client: Client) -> Iterator[None]:
    """Two containers in the network "front", one of which is in "back" too, which has no way out."""
    front = client.networks.create("front")
    back = client.networks.create("back", NetworkOptions(internal=True))
    with client.containers.group() as group:
        web = group.create("web", SLEEP, HostConfig(network_mode="front"))
        shop = group.create("shop", SLEEP, HostConfig(network_mode="front"))
        client.containers.connect(shop.id, "back")
        for container in (web, shop):
            client.containers.start(container.id)
        yield
    for network in (front, back):
        client.networks.remove(network.id)


def test_the_drawing_shows_who_reaches_whom(page: Browser, client: Client, joined: None) -> None:
    page.press("Networks")
    page.one("h1", "Networks")
    page.shows("Who reaches whom", "shop (by front)", "web (by front)")
    drawing = page.one("svg.drawing")
    assert {"web", "shop", "front", "back"} <= set(drawing.text.split())
    assert len(page.all("svg .dot")) == 3
    assert len(page.all("svg .bus.inner")) == 1
    page.check_accessibility()
    client.containers.connect("web", "back")
    page.wait(lambda: len(page.all("svg .dot")) == 4, "the drawing does not follow")
    page.shows("shop (by back, front)")
    page.press("front")
    page.one("h1", "front")
    page.shows("Gateway", "172.", "web")
    page.press("Disconnect web")
    page.shows("web disconnected")
    page.lacks("Disconnect web")
    page.press("Connect a container")
    page.check_accessibility()
    page.press("Connect")
    page.shows("Connected")


def test_a_network_is_made_and_removed(page: Browser, client: Client) -> None:
    page.go("networks")
    page.press("Create a network")
    page.type("Name", "side")
    page.type("Addresses (such as 10.9.0.0/24; empty for free ones)", "10.77.8.0/24")
    page.press("No way out of the machine")
    page.press("Create")
    page.shows("side created", "10.77.8.0/24")
    assert client.networks.get("side").internal
    page.press("Remove side")
    page.press("Remove")
    page.shows("side removed")
    client.networks.create("idle")
    page.shows("idle")
    page.press("Remove unused networks")
    page.one("dialog .plan", "idle")
    page.press("Remove all of these")
    page.shows("1 removed")
    page.wait(lambda: not any(line.text.startswith("idle") for line in page.all("tbody tr")), "idle is still listed")
