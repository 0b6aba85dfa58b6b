"""Builds in a browser: from a folder and from git, live, failed, their records, and the cache."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from lamina.client import Client
from lamina.errors import NotFound
from support.browser import Browser
from support.daemons import Daemon
from support.web import serving

pytestmark = pytest.mark.root


def start(page: Browser, folder: Path, tag: str) -> None:
    page.go("builds")
    page.one("h1", "Builds")
    page.press("Start a build")
    page.labelled("Folder of this computer").send_keys(str(folder))
    page.type("Name of the image", tag)
    page.check_accessibility()
    page.press("Build")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / f"{'long' * 30}.txt").write_text("deep down")
    (folder / "note").write_text("a note")
    return folder


def outcomes(page: Browser) -> list[str]:
    return [line.text for line in page.all(".steps .outcome")]


def test_a_folder_is_built_and_leaves_a_record(page: Browser, client: Client, folder: Path) -> None:
    (folder / "Dockerfile").write_text(
        "FROM base AS tools\nRUN echo from-the-tools > /tool; echo said-by-a-step\n"
        "FROM base\nCOPY --from=tools /tool /\nCOPY . /app\nRUN sh -c 'test -x /app/note'\n"
    )
    start(page, folder, "app:1")
    page.shows("The image is built")
    assert [outcomes(page)[index] for index in (1, 3, 4, 5)] == ["run"] * 4  # the others are FROM
    assert len(page.all(".drawing .arrow")) == 1
    assert len(page.all(".drawing .bar")) == 6
    page.all(".steps summary")[1].click()
    page.shows("said-by-a-step", "no earlier step is like it")
    page.check_accessibility()
    (folder / "note").write_text("another note")
    start(page, folder, "app:1")
    page.shows("The image is built")
    assert outcomes(page) == ["cached", "cached", "cached", "cached", "run", "run"]
    page.all(".steps summary")[4].click()
    page.shows("file /app/note was sha256:")
    page.press("The record")
    page.one("h1", "app:1")
    page.shows("completed")
    page.all(".steps summary")[4].click()
    page.shows("file /app/note was sha256:")
    assert "tools" in page.one(".drawing").text
    assert len(page.all(".drawing .bar")) == 6
    page.check_accessibility()
    page.go("builds")
    page.shows("2 entries")
    page.press("Forget app:1")
    page.shows("1 entry")
    page.press("Forget app:1")
    page.shows("No build has left a record yet")
    client.images.remove("app:1")


GATED = """
FROM base AS left
RUN --mount=type=cache,target=/gate echo left-waits; until [ -e /gate/left ]; do sleep 0.1; done; echo 1 > /left
FROM base AS right
RUN --mount=type=cache,target=/gate echo right-waits; until [ -e /gate/right ]; do sleep 0.1; done; echo 1 > /right
FROM base
COPY --from=left /left /
COPY --from=right /right /
"""


def test_a_running_build_is_drawn_as_it_goes(page: Browser, client: Client, daemon: Daemon, folder: Path) -> None:
    """Two stages wait at gates, which the test opens one by one: each change of the page follows one of the build."""

    def open_gate(name: str) -> None:
        (mount,) = (daemon.folder / "d/build-mounts").iterdir()
        (mount / name).touch()

    def states(kind: str) -> list[str]:
        return [str(shape.get_attribute("class")).removeprefix(f"{kind} ") for shape in page.all(f".drawing .{kind}")]

    def boxes() -> list[str]:
        return states("box")

    def bars() -> list[str]:  # without those of FROM, which are first
        every = states("bar")
        return [every[1], every[3], *every[5:]]

    def requests() -> list[str]:
        names = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
        return [str(name) for name in page.driver.execute_script(names)]

    (folder / "Dockerfile").write_text(GATED)
    start(page, folder, "gated")
    page.shows("Being built.", "running, 1 of 2 steps", "running, 1 of 3 steps")
    page.wait(lambda: boxes() == ["running"] * 3, "the stages do not run at once")
    page.wait(lambda: bars() == ["running"] * 3, "the steps do not run at once")
    assert len(page.all(".drawing .arrow")) == 2
    for summary in page.all(".steps summary"):
        summary.click()
    page.shows("left-waits", "right-waits")
    page.check_accessibility()
    before = requests()
    open_gate("left")
    page.wait(lambda: boxes() == ["run", "running", "running"], "the stage on the left goes on")
    page.wait(lambda: bars() == ["run", "running", "run", "running"], "wrong steps")
    left, right = page.all(".drawing .bar")[1], page.all(".drawing .bar")[3]
    assert right.rect["x"] < left.rect["x"] + left.rect["width"]  # they ran at once
    open_gate("right")
    page.shows("The image is built", "run, 2 of 2 steps", "run, 3 of 3 steps")
    (build,) = Counter(requests()) - Counter(before)
    assert "/api/build?" in build  # which is noted at its end, and nothing else was asked for
    client.images.remove("gated")
    client.builds.remove_record(client.builds.history()[0].ref)


def test_a_failure_shows_the_lines_and_the_log(page: Browser, client: Client, folder: Path) -> None:
    (folder / "Dockerfile").write_text("FROM base\n# a comment\nRUN echo last-words; exit 7\n")
    start(page, folder, "app:broken")
    page.shows("The build has failed", "returned a non-zero code: 7", "3 | RUN echo last-words; exit 7")
    page.shows("last-words")
    assert outcomes(page) == ["cached", "failed"]
    page.check_accessibility()
    page.press("The record")
    page.one(".outcome.failed", "failed")
    page.shows("3 | RUN echo last-words; exit 7", "last-words")
    with pytest.raises(NotFound):
        client.images.get("app:broken")
    client.builds.remove_record(client.builds.history()[0].ref)


def test_a_git_address_is_built(page: Browser, client: Client, folder: Path, tmp_path: Path) -> None:
    (folder / "Dockerfile").write_text("FROM base\nCOPY note /note\n")
    git = ("git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org")
    for command in (("init", "-q"), ("add", "."), ("commit", "-qm", "first")):
        subprocess.run([*git, *command], check=True)
    bare = tmp_path / "web/app.git"
    subprocess.run(["git", "clone", "-q", "--bare", str(folder), str(bare)], check=True)
    subprocess.run(["git", "-C", str(bare), "update-server-info"], check=True)
    with serving(bare.parent) as address:
        page.go("builds")
        page.press("Start a build")
        page.type("Or a git address", f"{address}/app.git")
        page.type("Name of the image", "from-git")
        page.press("Build")
        page.shows("The image is built")
    client.images.remove("from-git")
    client.builds.remove_record(client.builds.history()[0].ref)


def test_the_cache_tells_why_and_goes_after_a_plan(page: Browser, client: Client, folder: Path) -> None:
    (folder / "Dockerfile").write_text("FROM base\nRUN echo kept > /kept\n")
    start(page, folder, "keeper")
    page.shows("The image is built")
    (folder / "Dockerfile").write_text("FROM base\nRUN echo loose > /loose\nRUN echo more > /more\n")
    start(page, folder, "loose")
    page.shows("The image is built")
    client.images.remove("loose", prune=False)
    page.go("builds/cache")
    page.shows("needed by image keeper:latest")
    page.check_accessibility()
    page.press("Empty the cache")
    page.one("dialog .plan", "RUN echo loose > /loose")
    page.check_accessibility()
    page.press("Remove all of these")
    page.shows("freed")
    page.lacks("RUN echo loose")
    page.shows("needed by image keeper:latest")
    client.images.remove("keeper")
