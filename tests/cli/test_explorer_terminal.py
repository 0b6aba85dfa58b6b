"""The explorer in a real terminal of 80 columns and 24 lines: keys, mouse, clipboard, no colour, hostile names."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from support.daemons import Daemon, lamina_daemon, short_folder
from support.engines import Cli
from support.tars import tar
from support.terminal import Terminal
from support.tmux import TmuxTerminal, tmux_terminal
from support.waiting import eventually

pytestmark = [pytest.mark.root, pytest.mark.peer]

HOSTILE = "\x1b]0;owned\x07\u202egpj.exe<script>"
LINES = "".join(f"line {number}\n" for number in range(100))


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with lamina_daemon("--debug") as running:
        cli = Cli(running.host, running.folder)
        context = running.folder / "context"
        context.mkdir()
        base = {
            "etc/conf": b"one\n",
            "etc/text": LINES.encode(),
            "big": b"b" * 3_000_000,
            HOSTILE: b"\x1b[2Jcleared\x07",
        }
        (running.folder / "base.tar").write_bytes(tar(base))
        cli("import", str(running.folder / "base.tar"), "base")
        (context / "Dockerfile").write_text("FROM base\nENV DB_PASSWORD=hunter2\nCOPY conf /etc/conf\n")
        (context / "conf").write_text("two\n")
        cli("build", "-t", "app", str(context))
        yield running


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder("tmux-") as folder:
        yield folder


def explorer(daemon: Daemon, folder: Path, image: str, **environment: str) -> AbstractContextManager[TmuxTerminal]:
    settings = {**{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}, **environment}
    settings |= {"LAMINA_HOST": daemon.host, "LANG": "C.UTF-8", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    return tmux_terminal([sys.executable, "-m", "lamina", "explore", image], settings, folder)


def answer(terminal: TmuxTerminal, question: str, text: str) -> None:
    """Wait for a question, and answer it. Keys that come before its field has the focus are the screen's."""
    terminal.until(question)

    def takes_keys() -> bool:
        terminal.type("~")
        return "~" in terminal.screen

    eventually(takes_keys, 60)
    terminal.press("C-a", "C-k")
    terminal.until_gone("~")
    terminal.type(text)
    terminal.until(text)
    terminal.press("Enter")


def test_files_are_searched_viewed_extracted_and_copied(daemon: Daemon, folder: Path) -> None:
    with explorer(daemon, folder, "app") as terminal:
        terminal.until("Quit")
        terminal.until("etc")
        terminal.press("/")
        answer(terminal, "Part of a path", "etc/te")
        terminal.until("1 files")
        terminal.press("Enter")
        terminal.until("/etc/text  regular  -0644")
        terminal.press("v")
        terminal.until("line 5")
        terminal.press("Escape")
        terminal.until_gone("Esc closes")
        terminal.press("y")
        terminal.until("copied /etc/text")
        assert terminal.clipboard() == "/etc/text"
        terminal.press("x")
        answer(terminal, "Write /etc/text to", str(folder / "text"))
        terminal.until("written to")
        assert (folder / "text").read_text() == LINES
        terminal.press("q")
        assert terminal.end() == 0


def test_files_are_filtered_by_change_and_by_size(daemon: Daemon, folder: Path) -> None:
    with explorer(daemon, folder, "app") as terminal:
        terminal.until("Quit")
        terminal.until("big")
        terminal.press("u")
        terminal.until("shown: added, modified, removed")
        terminal.until_gone("3MB big")
        terminal.press("u", "s")
        answer(terminal, "Files of at least", "1m")
        assert "/big" in terminal.until("1 files")


def test_the_mouse_reaches_every_action(daemon: Daemon, folder: Path) -> None:
    with explorer(daemon, folder, "app") as terminal:
        terminal.until("Quit")
        terminal.until("etc")
        terminal.press("u")  # a terminal that has answered to a key answers to the mouse as well
        terminal.until("shown:")
        terminal.click("Keys")
        terminal.until("Secrets")
        terminal.click("k   Secrets")
        terminal.until("possible secrets")
        terminal.until("DB_PASSWORD")
        assert "hunter2" not in terminal.screen
        terminal.press("Escape")
        terminal.until_gone("Esc closes")
        terminal.click("Savings")
        terminal.until("1 savings, 4B   ")
        terminal.press("Escape")
        terminal.until_gone("Esc closes")
        terminal.press("q")
        assert terminal.end() == 0


def test_without_colour_nothing_is_lost(daemon: Daemon, folder: Path) -> None:
    with explorer(daemon, folder, "app", NO_COLOR="1") as terminal:
        terminal.until("Quit")
        terminal.press("/")
        answer(terminal, "Part of a path", "conf")
        terminal.until("1 files")
        assert "M       4B /etc/conf" in terminal.screen
        greys = [code for code in terminal.coloured_screen.split("\x1b[") if code[:3] in ("31m", "32m", "33m", "34m")]
        assert greys == []


def test_names_and_texts_of_an_image_do_not_drive_the_terminal(daemon: Daemon, folder: Path) -> None:
    with explorer(daemon, folder, "base") as terminal:
        terminal.until("Quit")
        terminal.press("/")
        answer(terminal, "Part of a path", "script")
        terminal.until("1 files")
        terminal.press("Enter")
        terminal.until("regular  -0644")
        terminal.press("v")
        terminal.until("\\u001b[2Jcleared")
        assert terminal.tmux("display-message", "-p", "#{pane_title}").strip() != "owned"
        terminal.press("Escape")  # alone: together with a letter it would be another key
        terminal.until_gone("Esc closes")
        terminal.press("y")
        terminal.until("copied")
        assert "\x1b" not in terminal.clipboard()


def test_the_first_screen_asks_for_layers_and_one_folder(daemon: Daemon) -> None:
    """An image of 40,000 files shows its first screen after two requests, none of which looks at all files."""
    archive = daemon.folder / "many.tar"
    archive.write_bytes(tar({f"d{folder}/sub/f{number}": b"" for folder in range(10) for number in range(4000)}))
    Cli(daemon.host, daemon.folder)("import", str(archive), "many")
    environment = {**os.environ, "LAMINA_HOST": daemon.host, "TERM": "xterm", "LINES": "24", "COLUMNS": "80"}
    terminal = Terminal([sys.executable, "-m", "lamina", "explore", "many"], environment)
    terminal.until(b"d0755          d9")  # the first frame, by hand
    terminal.until(b"Quit")
    asked = [line for line in daemon.log.splitlines() if "/images/many/explorer/" in line]
    assert len(asked) == 2, asked
    assert "/explorer/layers" in asked[0]
    assert "/explorer/files" in asked[1]
    terminal.type(b"q")
    assert terminal.end() == 0
