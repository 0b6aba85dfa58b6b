"""Takes the pictures of docs/dashboard.md: a daemon with a small shop in it, and each page as a browser shows it.

Run it as root after a page has changed: PYTHONPATH=tests:examples .venv/bin/python tests/dashboard/pictures.py [NAME…]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import base
import lamina
from lamina.client import Client
from lamina.types import BuildRequest, Config, HostConfig, MemoryContext, NetworkOptions
from support.browser import Browser, browser
from support.daemons import lamina_daemon
from support.waiting import eventually

FOLDER = Path(__file__).parents[2] / "docs" / "dashboard"
WIDTH, HEIGHT, TALL = 1000, 640, 1250
TALL_PICTURES = ("image-layers", "build", "networks")
Shot = tuple[str, str, str, str]

# A picture's name, the page's address, what to press there, and what the page shows when it is ready.
SHOTS = (
    ("containers", "containers", "", "shop-db-1"),
    ("container-logs", "containers/shop-web-1/logs", "", "listening"),
    ("container-terminal", "containers/shop-web-1/terminal", "Open terminal", "Connected"),
    ("container-usage", "containers/shop-web-1/stats", "", "Processes"),
    ("container-files", "containers/shop-web-1/files", "", "etc/"),
    ("container-changes", "containers/shop-web-1/changes", "", "/tmp/cache"),
    ("container-details", "containers/shop-web-1/inspect", "", "NetworkMode"),
    ("images", "images", "", "shop:2"),
    ("image-layers", "images/shop:2/layers", "", "Hidden by later layers"),
    ("image-files", "images/shop:2/files?path=%2Fapp", "", "main.sh"),
    ("image-history", "images/shop:2/history", "", "COPY"),
    ("image-packages", "images/shop:2/packages", "", "libshop"),
    ("image-compare", "images/shop:1/compare?with=shop%3A2", "", "Packages"),
    ("image-details", "images/shop:2/inspect", "", "Architecture"),
    ("image-run", "images/shop:2/run", "", "Restart"),
    ("volumes", "volumes", "", "shop-data"),
)
# Those with the site in it.
SITE_SHOTS = (
    ("networks", "networks", "", "site (by front)"),
    ("builds", "builds", "", "site:1"),
    ("build", "builds", "site:1", "Timeline"),
    ("build-cache", "builds/cache", "", "needed by image"),
    ("registries", "registries", "", "docker.io"),
    ("system", "system", "", "Build cache"),
    ("events", "system/events", "", "create"),
    ("about", "system/about", "", "Processors"),
)

DOCKERFILE = """
FROM base
COPY catalogue.db /app/
COPY status /var/lib/dpkg/status
COPY main.sh /app/
RUN rm /app/catalogue.db && mkdir /app/data
CMD ["sh", "/app/main.sh"]
"""
SITE = """
FROM base AS checks
RUN sleep 1; echo all is well > /report
FROM base AS pages
RUN mkdir /pages; sleep 2; echo welcome > /pages/index.html
FROM base
COPY --from=checks /report /site/
COPY --from=pages /pages /site/pages
RUN sleep 0.5; ls -R /site
"""
MAIN = b"""
echo shop: starting
printf '\\033[32mshop: listening on port 80\\033[0m\\n'
echo 'shop: the catalogue is old' >&2
echo kept > /tmp/cache
while sleep 0.2; do i=0; while [ $i -lt 3000 ]; do i=$((i + 1)); done; done
"""


def build(client: Client, version: str) -> None:
    package = f"Package: libshop\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}.0\n\n"
    files = {"catalogue.db": b"x" * 900_000, "status": package.encode(), "main.sh": MAIN}
    client.builds.build(MemoryContext(DOCKERFILE, files), BuildRequest(tags=(f"shop:{version}",), network="none"))


@contextmanager
def shop(client: Client) -> Iterator[None]:
    """Two versions of an image, a project of two containers and one beside it."""
    build(client, "1")
    build(client, "2")
    labels = {"com.docker.compose.project": "shop"}
    alone = HostConfig(network_mode="none", binds=("shop-data:/app/data",))
    with client.containers.group() as group:
        for name in ("shop-web-1", "shop-db-1"):
            client.containers.start(group.create(name, Config(image="shop:2", labels=labels), alone).id)
        group.create("job", Config(image="base", cmd=("true",)), HostConfig(network_mode="none"))
        eventually(lambda: len(list(client.containers.logs("shop-web-1"))) >= 3)
        yield


@contextmanager
def site(client: Client) -> Iterator[None]:
    """An image of three stages, and three containers in two networks."""
    client.builds.build(MemoryContext(SITE), BuildRequest(tags=("site:1",), network="none", explain=True))
    networks = [client.networks.create("front"), client.networks.create("back", NetworkOptions(internal=True))]
    with client.containers.group() as group:
        for name, network in (("proxy", "front"), ("site", "front"), ("db", "back")):
            made = group.create(name, Config(image="site:1", cmd=("sleep", "1000")), HostConfig(network_mode=network))
            client.containers.start(made.id)
        client.containers.connect("site", "back")
        yield
    for joined in networks:
        client.networks.remove(joined.id)


def take(page: Browser, name: str, place: str, control: str, ready: str) -> None:
    page.go(place)
    if control:
        page.press(control)
    page.shows(ready)
    if name == "container-usage":
        page.wait(lambda: len(page.all(".uplot canvas")) == 4, "no plots")
    page.driver.set_window_size(WIDTH, TALL if name in TALL_PICTURES else HEIGHT)
    page.driver.save_screenshot(str(FOLDER / f"{name}.png"))


def take_all(page: Browser, shots: Sequence[Shot], names: list[str]) -> None:
    for shot in shots:
        if not names or shot[0] in names:
            take(page, *shot)


def main(names: list[str]) -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, lamina_daemon("--dashboard", "127.0.0.1:0") as daemon:
        tar = Path(folder) / "base.tar"
        base.busybox_tar(tar)
        with lamina.connect(daemon.host) as client, browser(Path(folder) / "profile") as page:
            with tar.open("rb") as content:
                client.images.import_tar(content, "base", changes=['CMD ["sh"]'])
            with ExitStack() as stack:
                stack.enter_context(shop(client))
                page.driver.set_window_size(WIDTH, HEIGHT)
                page.driver.get(client.dashboard_link())
                page.one("h1", "Containers")
                take_all(page, SHOTS, names)
                stack.enter_context(site(client))
                take_all(page, SITE_SHOTS, names)


if __name__ == "__main__":
    main(sys.argv[1:])
