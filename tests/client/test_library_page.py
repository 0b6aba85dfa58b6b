"""The examples of docs/library.md run, in order, against engines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.daemons import Daemon

PAGE = Path(__file__).parents[2] / "docs" / "library.md"
LATER = ("Stopping work", "In asyncio", "What is refused")  # with the engine's root
EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def examples(section: str) -> list[tuple[int, str]]:
    """(line, code) of each example below the heading `section`."""
    text = PAGE.read_text()
    start = text.index(f"\n## {section}\n") + 1
    end = text.find("\n## ", start + 1)
    part = text[start : end if end > 0 else len(text)]
    return [(text[: start + match.start()].count("\n") + 1, match[1]) for match in EXAMPLE.finditer(part)]


def run(*sections: str, **names: object) -> None:
    for line, code in (example for section in sections for example in examples(section)):
        padded = "\n" * line + code  # so that a traceback names the line of the page
        exec(compile(padded, str(PAGE), "exec"), names)


@pytest.mark.root
def test_with_a_daemon(engine: Daemon, busybox_tar: Path, tmp_path: Path) -> None:
    run("With a daemon", host=engine.host, base=busybox_tar, folder=tmp_path)


@pytest.mark.root
def test_without_a_daemon(busybox_tar: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    run("Without a daemon", *LATER, root=tmp_path / "root", base=busybox_tar, folder=folder)
