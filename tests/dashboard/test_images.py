"""One image in a browser: its layers and what is in them, and what changes it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lamina.client import Client
from lamina.types import BuildRequest, MemoryContext
from support.browser import Browser
from support.engines import Cli
from support.registries import Running
from support.registry_fixtures import registry, start

__all__ = ["registry", "start"]

pytestmark = pytest.mark.root

PACKAGE = "Package: {}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {}\n\n"


def build(client: Client, name: str, version: str) -> str:
    dockerfile = "FROM base\nCOPY big /data/big\nCOPY status /var/lib/dpkg/status\nRUN rm /data/big\nENV KIND=shop\n"
    files = {"big": b"x" * 300_000, "status": PACKAGE.format("libshop", version).encode()}
    request = BuildRequest(tags=(name,), network="none")
    return str(client.builds.build(MemoryContext(dockerfile, files), request).image.id)


@pytest.fixture
def image(client: Client) -> Iterator[str]:
    """The ID of an image called "shop:1" with a file that a later layer removes, and a package."""
    yield build(client, "shop:1", "1.0")
    client.images.remove("shop:1")


def test_layers_are_drawn_with_their_waste(image: str, page: Browser) -> None:
    page.press("Images")
    page.press("shop:1")
    page.one("h1", "shop:1")
    page.shows("Layer 3", "Files of all layers", "300 kB in 1 file", "What to change")
    assert page.one(".treemap rect.wasted")
    page.press("Layer 1")
    page.shows("Files of layer 1 · 300 kB")
    page.one("summary").click()
    page.shows("/data/big")
    page.check_accessibility()
    page.driver.execute_script(
        "document.querySelector('[data-path=\"/data/big\"] rect').dispatchEvent("
        "new MouseEvent('click', {bubbles: true}))"
    )
    page.one("h1", "shop:1")
    page.shows("big removed by the last layer")


def test_files_are_viewed_and_blamed(image: str, page: Browser) -> None:
    page.go(f"images/{image}/files?path=%2Fvar%2Flib%2Fdpkg")
    page.press("status")
    page.shows("Package: libshop")
    page.press("Close")
    page.press("Blame status")
    page.shows("Blame for /var/lib/dpkg/status", "added")
    page.check_accessibility()
    page.press("Close")


def test_history_packages_and_details(image: str, page: Browser) -> None:
    page.go(f"images/{image}/history")
    page.shows("rm /data/big", "ENV KIND=shop")
    page.go(f"images/{image}/packages")
    page.shows("libshop", "1.0", "deb")
    page.go(f"images/{image}/inspect")
    page.shows('"KIND=shop"')


def test_two_images_are_compared(client: Client, image: str, page: Browser) -> None:
    build(client, "shop:2", "2.0")
    page.go(f"images/{image}/compare")
    page.type("With the image", "shop:2")
    page.press("Show differences")
    page.shows("1 package and 1 file differ", "deb libshop", "2.0")
    page.type("With the image", "shop:1")
    page.press("Show differences")
    page.shows("are the same")
    client.images.remove("shop:2")


def test_a_name_is_given_and_taken_with_a_plan(client: Client, image: str, page: Browser) -> None:
    page.go(f"images/{image}/layers")
    page.press("Tag")
    page.type("New name, such as team/app:2", "team/shop:7")
    page.check_accessibility()
    page.one("dialog button[type=submit]").click()
    page.shows("Remove team/shop:7")
    page.press("Remove team/shop:7")
    page.shows("Names that go: team/shop:7", "Nothing is freed")
    page.press("Remove")
    page.shows("team/shop:7 removed")
    assert client.images.get(image).tags == ("shop:1",)


def test_the_plan_counts_what_is_freed(page: Browser, client: Client) -> None:
    made = build(client, "gone:1", "3.0")
    page.go(f"images/{made}/layers")
    page.press("Remove gone:1")
    page.shows("Names that go: gone:1", "kB of files are freed")
    page.press("Cancel")
    assert client.images.get(made).tags == ("gone:1",)
    page.press("Remove gone:1")
    page.press("Remove")
    page.one("h1", "Images")
    page.lacks("gone:1 ")


def test_buttons_stay_while_other_images_change(client: Client, image: str, page: Browser) -> None:
    page.go(f"images/{image}/layers")
    button = page.labelled("Remove shop:1")
    page.driver.execute_script("document.querySelector('.summary code').id = 'before'")
    client.images.tag("base", "unrelated:1")
    page.wait(lambda: not page.all("#before"), "the head is not loaded again")
    assert page.labelled("Remove shop:1") == button, "a click on a button that is replaced meanwhile is lost"
    client.images.remove("unrelated:1")


def test_an_image_is_run_with_flags(client: Client, image: str, page: Browser) -> None:
    page.go(f"images/{image}/run")
    page.type("Name", "from-page")
    page.type("Command (empty for the image's)", "sh -c 'echo \"$GREETING from $PWD\"; sleep 1000'")
    page.type("Environment, one a line: NAME=value", "GREETING=hello there")
    page.type("Volumes, one a line: data:/data or /host/path:/path:ro", "run-data:/data")
    page.type("Ports, one a line: 8080:80 or 127.0.0.1:8080:80/tcp", "127.0.0.1:18081:80")
    page.type("Memory in MB (empty for no limit)", "64")
    page.type("Folder to start in", "/data")
    page.check_accessibility()
    page.press("Run")
    page.one("h1", "from-page")
    page.shows("hello there from /data", "18081")
    made = client.containers.get("from-page")
    assert made.host_config.memory == 64_000_000
    client.containers.remove("from-page", force=True)
    client.volumes.remove("run-data")


def test_a_mistake_in_a_form_is_told_and_nothing_is_lost(image: str, page: Browser) -> None:
    page.go(f"images/{image}/run")
    page.type("Ports, one a line: 8080:80 or 127.0.0.1:8080:80/tcp", "eighty")
    page.press("Run")
    page.shows("eighty is no port")
    assert page.labelled("Ports, one a line: 8080:80 or 127.0.0.1:8080:80/tcp").get_attribute("value") == "eighty"
    page.press("Dismiss")


def test_an_image_is_pulled_with_its_progress(
    cli: Cli, client: Client, image: str, registry: Running, page: Browser
) -> None:
    name = f"{registry.address}/team/shop:1"
    client.images.tag("shop:1", name)
    cli("push", name)
    client.images.remove(name)
    page.go("images")
    page.press("Pull an image")
    page.type("Name, such as debian:stable-slim", f"{registry.address}/team/none:1")
    page.press("Pull")
    page.one(".problem", "none")
    page.check_accessibility()
    page.type("Name, such as debian:stable-slim", name)
    page.press("Pull")
    page.shows(f"{name} pulled")
    page.one("tbody th", name)
    client.images.remove(name)
    assert all("404" in line for line in page.console())  # the browser notes the answer to the first pull
