"""The dashboard for people with a keyboard, a small window, a dark screen, or very many images."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile

import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys

import lamina
from lamina.client import Client
from lamina.client.sending import TAR
from support.browser import Browser
from support.daemons import lamina_daemon

pytestmark = pytest.mark.root

MANY = 10_000
FIRST_PAGE = 150_000  # bytes, at most


def test_the_first_page_is_small_and_comes_from_here(page: Browser, client: Client) -> None:
    page.driver.get(client.dashboard_link())
    page.one("h1", "Containers")
    page.shows("There are no containers yet")
    entries = page.driver.execute_script(
        "return performance.getEntries().filter((entry) => ['resource', 'navigation'].includes(entry.entryType))"
        ".map((entry) => [entry.name, entry.transferSize])"
    )
    assert {name.split("/")[2] for name, _ in entries} == {page.driver.current_url.split("/")[2]}
    assert sum(size for _, size in entries) < FIRST_PAGE
    assert not [name for name, _ in entries if "/vendor/" in name]


def test_all_of_it_is_reached_by_keyboard(page: Browser) -> None:
    def press(*keys: str) -> None:
        ActionChains(page.driver).send_keys(*keys).perform()

    def focused() -> str:
        return str(page.driver.switch_to.active_element.text)

    page.driver.execute_script("document.activeElement.blur()")
    press(Keys.TAB)
    assert focused() == "Skip to the page"
    press(Keys.TAB, Keys.TAB)
    assert focused() == "Images"
    press(Keys.ENTER)
    page.wait(lambda: focused() == "Images" and page.driver.switch_to.active_element.tag_name == "h1", "no new heading")
    page.one("tbody th", "base:latest")
    for _ in range(20):
        press(Keys.TAB)
        if focused() == "base:latest":
            break
    press(Keys.ENTER)
    page.one("h1", "base:latest")


@pytest.mark.parametrize("place", ["containers", "images", "images/base/layers", "images/base/run"])
def test_small_windows_scroll_one_way_and_dark_ones_can_be_read(page: Browser, place: str) -> None:
    device = {"width": 360, "height": 640, "deviceScaleFactor": 1, "mobile": False}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", device)
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    try:
        page.go(place)
        page.one("h1", {"containers": "Containers", "images": "Images"}.get(place, "base"))
        assert page.driver.execute_script("return document.documentElement.scrollWidth") <= 360
        assert (
            page.driver.execute_script("return getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
        )
        page.check_accessibility()
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def archive_of_many() -> bytes:
    """A docker-archive of `MANY` images with one empty layer."""
    layer = b"\0" * 10240
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]}
    archive, manifest = io.BytesIO(), []
    with tarfile.open(fileobj=archive, mode="w") as tar:

        def add(name: str, content: bytes) -> None:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))

        add("layer.tar", layer)
        for number in range(MANY):
            config = {"architecture": "amd64", "os": "linux", "author": str(number), "rootfs": rootfs}
            add(f"{number}.json", json.dumps(config).encode())
            manifest.append({"Config": f"{number}.json", "RepoTags": [f"many/{number}:1"], "Layers": ["layer.tar"]})
        add("manifest.json", json.dumps(manifest).encode())
    return archive.getvalue()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_thousand_images_are_a_hundred_rows(window: Browser) -> None:
    with lamina_daemon("--dashboard", "127.0.0.1:0") as daemon, lamina.connect(daemon.host) as client:
        for line in client.transport.lines(
            "POST", "/images/load", {"quiet": True}, body=[archive_of_many()], headers=TAR
        ):
            assert "error" not in line
        window.driver.get(client.dashboard_link())
        window.press("Images")
        window.shows(f"1 to 100 of {MANY} entries")
        assert len(window.all("tbody tr")) == 100
        window.press("Next")
        window.shows("101 to 200")
        window.type("Search", "many/9876:")
        window.shows("1 entry", "many/9876:1")
        window.check_accessibility()
        assert window.console() == []
        window.driver.get("about:blank")
