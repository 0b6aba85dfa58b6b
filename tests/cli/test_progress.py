"""Progress on a terminal and in a pipe."""

from __future__ import annotations

import io
import os
import pty
import termios

import pytest

from lamina.cli.progress import Display
from lamina.progress import Message, Output, Status

MESSAGES = (
    Status("Pulling from team/app", "1"),
    Status("Downloading", "aaa", 500_000, 1_000_000),
    Status("Downloading", "bbb", 10, 100),
    Status("Downloading", "aaa", 1_000_000, 1_000_000),
    Status("Pull complete", "aaa"),
    Status("Status: Downloaded newer image"),
    Output("Loaded image: app\n"),
)


def on_a_terminal(*messages: Message) -> str:
    """What a terminal of 120 columns is sent; the last message ends with "end" and a newline."""
    reader, writer = pty.openpty()
    termios.tcsetwinsize(writer, (24, 120))
    with os.fdopen(writer, "w") as stream:
        with Display(stream) as display:
            for message in messages:
                display(message)
        shown = ""
        while not shown.rstrip().endswith(("end", "app")):
            shown += os.read(reader, 65536).decode()
    os.close(reader)
    return shown


def test_errors_of_a_build_are_red_on_terminals_that_want_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    build = (Output("fine\n"), Output("bad\n", error=True), Output("the end\n"))
    stream = io.StringIO()
    for message in build:
        Display(stream)(message)
    assert stream.getvalue() == "fine\nbad\nthe end\n"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert on_a_terminal(*build) == "fine\r\n\x1b[91mbad\r\n\x1b[0mthe end\r\n"
    monkeypatch.setenv("NO_COLOR", "1")
    assert on_a_terminal(*build) == "fine\r\nbad\r\nthe end\r\n"


def test_a_pipe_gets_plain_lines() -> None:
    stream = io.StringIO()
    with Display(stream) as display:
        for message in MESSAGES:
            display(message)
    assert stream.getvalue() == (
        "1: Pulling from team/app\naaa: Pull complete\nStatus: Downloaded newer image\nLoaded image: app\n"
    )


def test_a_terminal_gets_bars_that_move() -> None:
    shown = on_a_terminal(*MESSAGES)
    assert "aaa: Downloading [========================>" in shown
    assert "500kB/1MB" in shown
    assert "\x1b[2A\r\x1b[2Kaaa: Pull complete\x1b[2B\r" in shown
    assert shown.endswith("Status: Downloaded newer image\r\nLoaded image: app\r\n")
