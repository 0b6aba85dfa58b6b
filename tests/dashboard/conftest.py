"""A daemon that serves its dashboard, and a browser that looks at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import lamina
from lamina.client import Client
from support.browser import Browser, browser
from support.daemons import Daemon, lamina_daemon
from support.engines import Cli


@pytest.fixture(scope="session")
def daemon() -> Iterator[Daemon]:
    with lamina_daemon("--dashboard", "127.0.0.1:0") as daemon:
        yield daemon


@pytest.fixture(scope="session")
def client(daemon: Daemon, busybox_tar: Path) -> Iterator[Client]:
    """A client of the daemon, which has the image "base"."""
    with lamina.connect(daemon.host) as client:
        with busybox_tar.open("rb") as tar:
            client.images.import_tar(tar, "base", changes=['CMD ["sh"]'])
        yield client


@pytest.fixture(scope="session")
def cli(daemon: Daemon, client: Client) -> Cli:
    return Cli(daemon.host, daemon.folder)


@pytest.fixture(scope="session")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("profile")


@pytest.fixture
def downloads(profile: Path) -> Path:
    """Where the browser puts what it downloads."""
    return profile / "downloads"


@pytest.fixture(scope="session")
def window(profile: Path) -> Iterator[Browser]:
    with browser(profile) as window:
        yield window


@pytest.fixture
def page(window: Browser, client: Client) -> Iterator[Browser]:
    """The dashboard, just opened. What is wrong on the page at the test's end, or in the console, fails the test."""
    window.driver.delete_all_cookies()
    window.driver.get("about:blank")
    window.console()  # what a page says whose session has ended
    window.driver.get(client.dashboard_link())
    window.one("h1", "Containers")
    yield window
    window.check_accessibility()
    assert window.console() == []
