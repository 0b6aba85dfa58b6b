"""The explorer on its screen, driven by keys over the images of a real engine."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Label, OptionList, Static

import lamina
from lamina.cli.explorer.app import ExplorerApp
from lamina.cli.explorer.screens import Chooser, Viewer
from lamina.types import BuildRequest, MemoryContext
from support.daemons import lamina_daemon
from support.tars import tar
from support.terminal import Terminal

FORGED = "x\x1b[2J\u202ey"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lamina.Engine]:
    with lamina.Engine(tmp_path_factory.mktemp("root")) as engine:
        fill(engine)
        yield engine


def fill(library: lamina.types.Library) -> None:
    library.images.import_tar(
        io.BytesIO(tar({"etc/conf": b"one\n", "etc/deep/er/file": b"x" * 5000, FORGED: b""})), "base"
    )
    context = MemoryContext("FROM base\nCOPY conf /etc/conf\nCOPY new /etc/new\n", {"conf": b"two\n", "new": b""})
    library.builds.build(context, BuildRequest(tags=("app",)))


def told(app: ExplorerApp) -> str:
    return str(app.query_one("#details", Static).render())


def shown(app: ExplorerApp) -> list[str]:
    """The lines of the tree, without what is closed."""
    lines = []
    todo = list(reversed(app.files.root.children))
    while todo:
        node = todo.pop()
        lines.append(str(node.label).split(" ", 1)[0] + " " + str(node.label).split()[-1])
        if node.is_expanded:
            todo += reversed(node.children)
    return lines


async def settled(pilot: Pilot[None]) -> None:
    """Wait until what keys started has ended."""
    await pilot.pause()
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


def test_files_are_opened_filtered_found_viewed_and_extracted(engine: lamina.Engine, tmp_path: Path) -> None:
    async def use() -> None:
        app = ExplorerApp(engine.explorer, "app")
        async with app.run_test(size=(80, 24)) as pilot:
            await settled(pilot)
            assert app.query_one(DataTable).row_count == 3
            assert shown(app)[0][2:] == "etc"
            app.files.focus()
            await pilot.press("down", "enter")
            await settled(pilot)
            assert "A new" in shown(app)
            await pilot.press("slash", *"er/fi", "enter")
            await settled(pilot)
            assert isinstance(app.screen, Chooser)
            await pilot.press("enter")
            await settled(pilot)
            await settled(pilot)
            assert told(app).startswith("/etc/deep/er/file  regular  -0644")
            await pilot.press("v")
            await settled(pilot)
            assert isinstance(app.screen, Viewer)
            assert "x" * 60 in str(app.screen.query_one("#text", Static).render())
            await pilot.press("escape", "x", "ctrl+a", "ctrl+k", *str(tmp_path / "out"), "enter")
            await settled(pilot)
            assert (tmp_path / "out").read_bytes() == b"x" * 5000

    asyncio.run(use())


def test_blame_waste_and_filters(engine: lamina.Engine) -> None:
    async def use() -> None:
        app = ExplorerApp(engine.explorer, "app")
        async with app.run_test(size=(80, 24)) as pilot:
            await settled(pilot)
            await pilot.press("b")
            assert told(app) == "choose a file in the tree first"
            await pilot.press("w")
            await settled(pilot)
            assert "1 hidden files, 4B" in str(app.screen.query_one(Label).render())
            assert "/etc/conf  (layer 0, hidden by 1)" in str(app.screen.query_one(OptionList).options[0].prompt)
            await pilot.press("enter")
            await settled(pilot)
            await settled(pilot)
            await pilot.press("b")
            await settled(pilot)
            touches = str(app.screen.query_one("#text", Static).render()).splitlines()
            assert [line.split()[:2] for line in touches] == [["0", "added"], ["1", "modified"]]
            await pilot.press("escape", "u")
            await settled(pilot)
            await settled(pilot)
            assert told(app) == "shown: added, modified, removed"
            assert [line for line in shown(app) if line in ("A new", " conf")] == ["A new"]

    asyncio.run(use())


def test_names_and_texts_do_not_drive_the_terminal(engine: lamina.Engine) -> None:
    engine.images.import_tar(io.BytesIO(tar({FORGED: b"\x1b]0;title\x07\xff[bold]text[/]"})), "hostile")

    async def use() -> None:
        app = ExplorerApp(engine.explorer, "hostile")
        async with app.run_test(size=(80, 24)) as pilot:
            await settled(pilot)
            app.files.focus()
            await pilot.press("down", "v")
            await settled(pilot)
            assert str(app.screen.query_one("#text", Static).render()) == "\\u001b]0;title\\u0007\\xff[bold]text[/]"
            assert "x\\u001b[2J\\u202ey" in str(app.screen.query_one(Label).render())

    asyncio.run(use())


def test_a_file_that_is_there_is_not_overwritten(engine: lamina.Engine, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")

    async def use() -> None:
        app = ExplorerApp(engine.explorer, "hostile")
        async with app.run_test(size=(80, 24)) as pilot:
            await settled(pilot)
            app.files.focus()
            await pilot.press("down", "x", "ctrl+a", "ctrl+k", *str(tmp_path / "out"), "enter")
            await settled(pilot)
            assert told(app).endswith("out: File exists")

    asyncio.run(use())
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.root
def test_a_real_terminal_shows_it_and_gets_its_screen_back() -> None:
    with lamina_daemon() as daemon:
        with lamina.connect(daemon.host) as client:
            fill(client)
        environment = {**os.environ, "LAMINA_HOST": daemon.host, "TERM": "xterm", "LINES": "24", "COLUMNS": "80"}
        terminal = Terminal([sys.executable, "-m", "lamina", "explore", "app"], environment)
        terminal.until(b"etc")
        terminal.type(b"q")
        assert terminal.end() == 0
        assert b"\x1b[?1049l" in terminal.seen  # back from the alternate screen
