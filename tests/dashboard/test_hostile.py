"""Names, labels, files and logs that try to become part of a page, or to reorder what is read on it."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from lamina.client import Client
from lamina.types import BuildRequest, Config, HostConfig, MemoryContext
from support.browser import Browser
from support.waiting import eventually

pytestmark = pytest.mark.root

TAG = "<img src=x onerror=window.evil=1>"
BIDI = "\u202egnp.exe"
EVIL = f"{TAG}<script>window.evil=1</script>{BIDI}"
SHOWN = "⟨U+202E⟩gnp.exe"
LABELS = {"com.docker.compose.project": EVIL, EVIL.replace("=", ":"): EVIL}
ESCAPES = "\\033]0;title\\007\\033[31mred\\033[0m\\033[2J\\033]8;;javascript:evil=1\\007link\\033]8;;\\007\\n"
LOG = f"echo '{EVIL}'; printf '{ESCAPES}'"


def is_harmless(page: Browser, shown: str = "") -> bool:
    """Wait for `shown`, and check that nothing of what the page shows has become part of it."""
    page.shows(shown or "Skip to the page")
    foreign = 'img, iframe, object, script:not([src$="/app.js"], #first-answers)'
    assert page.all(foreign) == []
    assert page.driver.execute_script("return window.evil === undefined")
    assert "\u202e" not in page.text()
    return True


@pytest.fixture(scope="module")
def image(client: Client) -> Iterator[str]:
    dockerfile = f'FROM base\nCOPY . /evil/\nENV EVIL="{TAG}{BIDI}"\nRUN echo "{TAG}{BIDI}" > /evil/made\n'
    files = {f"a{TAG}{BIDI}": EVIL.encode(), "page.html": f"<html>{EVIL}</html>".encode()}
    request = BuildRequest(tags=("evil:1",), network="none", labels=LABELS)
    yield str(client.builds.build(MemoryContext(dockerfile, files), request).image.id)
    client.images.remove("evil:1")


@pytest.fixture
def container(client: Client, image: str) -> Iterator[str]:
    config = Config(image=image, cmd=("sh", "-c", f"{LOG}; cp -r /evil /copied; sleep 1000"), labels=LABELS)
    with client.containers.group() as group:
        made = group.create("hostile", config, HostConfig(network_mode="none"))
        client.containers.start(made.id)
        eventually(lambda: len(client.containers.changes(made.id)) >= 3)
        yield made.id


def test_pages_of_containers(container: str, page: Browser) -> None:
    assert is_harmless(page, f"Project {TAG}")
    for view, shown in (("logs", SHOWN), ("changes", "/copied/a<img"), ("inspect", SHOWN), ("stats", "Processor")):
        page.go(f"containers/{container}/{view}")
        assert is_harmless(page, shown)
    page.go(f"containers/{container}/files?path=%2Fevil")
    assert is_harmless(page, f"a{TAG}")
    page.press(f"a{TAG}{SHOWN}")
    assert is_harmless(page, "<script>window.evil=1</script>")
    page.press("Close")
    page.go(f"containers/{container}/files?path={quote('/<b data-evil>', safe='')}")
    page.shows("Could not find the file")
    page.press("Dismiss")
    (message,) = page.console()
    assert "the server responded with a status of 404" in message


def test_colours_stay_and_other_escapes_go(container: str, page: Browser) -> None:
    page.go(f"containers/{container}/logs")
    page.shows("redlink")
    assert page.one(".ansi-red").text == "red"
    assert page.driver.title == "hostile · lamina"
    assert not page.all(".log a")


def test_a_terminal_shows_escapes_and_obeys_none_that_leave_it(container: str, page: Browser) -> None:
    page.go(f"containers/{container}/terminal")
    page.type("Command (empty for a shell)", f"{LOG}; echo end of it")
    page.press("Open terminal")
    page.shows("has ended with exit code 0")
    page.wait(lambda: "end of it" in page.one(".xterm-rows").text, "no output")
    assert page.driver.title == "hostile · lamina"
    assert page.driver.execute_script("return window.evil === undefined")


def test_pages_of_images(client: Client, image: str, page: Browser) -> None:
    views = [("layers", "window.evil=1"), ("history", SHOWN), ("inspect", SHOWN), ("packages", "no packages")]
    for view, shown in [*views, ("files?path=%2Fevil", f"a{TAG}"), ("compare?with=base", SHOWN), ("run", "Restart")]:
        page.go(f"images/{image}/{view}")
        assert is_harmless(page, shown)


def test_a_file_opened_as_a_page_runs_nothing(image: str, page: Browser, client: Client) -> None:
    target = f"/api/images/{quote(image, safe='')}/explorer/file?path=%2Fevil%2Fpage.html"
    fetched = page.driver.execute_async_script(
        "const done = arguments[1]; fetch(arguments[0]).then(async (answer) => done([...answer.headers.entries(), "
        "['text', await answer.text()]]))",
        target,
    )
    headers = dict(fetched)
    assert headers["text"] == f"<html>{EVIL}</html>"
    assert headers["content-type"] == "application/octet-stream"
    assert headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in headers["content-security-policy"]
