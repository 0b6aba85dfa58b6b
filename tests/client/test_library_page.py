"""The examples of docs/library.md run, in order, against engines."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import lamina
from support.daemons import Daemon

PAGE = Path(__file__).parents[2] / "docs" / "library.md"
EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def examples(section: str) -> list[tuple[int, str]]:
    """(line, code) of each example below the heading `section`."""
    text = PAGE.read_text()
    start = text.index(f"\n## {section}\n") + 1
    end = text.find("\n## ", start + 1)
    part = text[start : end if end > 0 else len(text)]
    return [(text[: start + match.start()].count("\n") + 1, match[1]) for match in EXAMPLE.finditer(part)]


def run(section: str, **names: object) -> None:
    for line, code in examples(section):
        padded = "\n" * line + code  # so that a traceback names the line of the page
        exec(compile(padded, str(PAGE), "exec"), names)


VERBS = {
    "": "close disk_usage info version",
    "images": "get history import_tar list load prune remove save tag",
    "containers": "attach changes create exec_create exec_inspect exec_resize exec_start export get get_archive"
    " kill list logs pause prune put_archive remove rename resize restart start stat_path stats stop top unpause"
    " update wait",
    "networks": "create get list prune remove",
    "volumes": "create get list prune remove",
}


@pytest.mark.parametrize("room", VERBS)
def test_the_engine_and_the_client_have_the_same_verbs(room: str, tmp_path: Path) -> None:
    with lamina.Engine(tmp_path / "root") as engine, lamina.connect(f"unix://{tmp_path}/none") as client:
        if room in ("networks", "containers") and os.geteuid() != 0:
            pytest.skip("needs root")
        for verb in VERBS[room].split():
            for side in (engine, client):
                assert callable(getattr(getattr(side, room) if room else side, verb)), verb
        assert hasattr(engine, "events")
        assert hasattr(client, "events")


@pytest.mark.root
def test_with_a_daemon(engine: Daemon, busybox_tar: Path, tmp_path: Path) -> None:
    run("With a daemon", host=engine.host, base=busybox_tar, folder=tmp_path)


@pytest.mark.root
def test_without_a_daemon(busybox_tar: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    run("Without a daemon", root=tmp_path / "root", base=busybox_tar, folder=folder)
