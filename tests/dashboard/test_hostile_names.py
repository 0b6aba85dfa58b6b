"""Names, labels, logs and attributes that want to be more than text: on each page they stay text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.client import Client
from lamina.types import Config, HostConfig, NetworkOptions
from support.browser import Browser

pytestmark = pytest.mark.root

SCRIPT = "<script>document.title='owned'</script>"
IMAGE = "<img src=x onerror=\"document.title='owned'\">"
REVERSED = "\u202egnp.exe\u202c"
ESCAPE = "\x1b[2J\x1b]0;owned\x07"
EVIL = f"{SCRIPT}{IMAGE}{REVERSED}{ESCAPE}"
LABELS = {"evil": EVIL, SCRIPT: "value"}


def stays_text(page: Browser, *texts: str) -> None:
    """Fail unless the texts are there as texts, and nothing of them has become part of the page."""
    page.shows(*texts)
    assert page.driver.title != "owned"
    assert not page.all("main img, main script, main iframe, main [onerror]")
    assert "\u202e" not in page.text()
    assert "\x1b" not in page.text()
    page.check_accessibility()


@pytest.fixture
def evil(client: Client) -> Iterator[str]:
    """A volume, a network called "evil" and a container that is in it, all with labels that hold scripts."""
    client.volumes.create("evil", labels=LABELS)
    network = client.networks.create("evil", NetworkOptions(labels=LABELS))
    config = Config(image="base", cmd=("sleep", "1000"), labels=LABELS)
    with client.containers.group() as group:
        container = group.create("evil", config, HostConfig(network_mode="evil", binds=("evil:/data",)))
        client.containers.start(container.id)
        yield network.id
    client.networks.remove(network.id)
    client.volumes.remove("evil")


def test_labels_of_volumes_and_networks(page: Browser, evil: str) -> None:
    for address in ("volumes/evil", f"networks/{evil}"):
        page.go(address)
        stays_text(page, SCRIPT, IMAGE, "⟨U+202E⟩", "⟨U+001B⟩[2J")
    for address in ("volumes", "networks"):
        page.go(address)
        stays_text(page, "evil")


def test_attributes_of_events(page: Browser, evil: str) -> None:
    page.go("system/events")
    stays_text(page, SCRIPT, IMAGE, "⟨U+202E⟩", "⟨U+001B⟩")


def test_what_a_build_says(page: Browser, client: Client, tmp_path: Path) -> None:
    (tmp_path / "said").write_text(EVIL)
    (tmp_path / "Dockerfile").write_text(f"FROM base AS evil\nCOPY said /\nRUN cat /said && exit 3 # {SCRIPT}\n")
    page.go("builds")
    page.press("Start a build")
    page.labelled("Folder of this computer").send_keys(str(tmp_path))
    page.type("Name of the image", "evil")
    page.press("Build")
    page.shows("The build has failed")
    stays_text(page, SCRIPT, IMAGE, "⟨U+202E⟩")
    page.press("The record")
    page.shows("What was asked for")
    stays_text(page, SCRIPT, IMAGE, "⟨U+202E⟩")
    page.go("builds")
    stays_text(page, "evil", "failed")
    client.builds.remove_record(client.builds.history()[0].ref)
