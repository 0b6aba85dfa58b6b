"""Progress on a terminal and in a pipe."""

from __future__ import annotations

import io
import os
import pty
import termios

from lamina.cli.show.progress import Display
from lamina.progress import Output, Status

MESSAGES = (
    Status("Pulling from team/app", "1"),
    Status("Downloading", "aaa", 500_000, 1_000_000),
    Status("Downloading", "bbb", 10, 100),
    Status("Downloading", "aaa", 1_000_000, 1_000_000),
    Status("Pull complete", "aaa"),
    Status("Status: Downloaded newer image"),
    Output("Loaded image: app\n"),
)


def test_a_pipe_gets_plain_lines() -> None:
    stream = io.StringIO()
    with Display(stream) as display:
        for message in MESSAGES:
            display(message)
    assert stream.getvalue() == (
        "1: Pulling from team/app\naaa: Pull complete\nStatus: Downloaded newer image\nLoaded image: app\n"
    )


def test_a_terminal_gets_bars_that_move() -> None:
    reader, writer = pty.openpty()
    termios.tcsetwinsize(writer, (24, 120))
    with os.fdopen(writer, "w") as stream:
        with Display(stream) as display:
            for message in MESSAGES:
                display(message)
        shown = ""
        while not shown.endswith("app\r\n"):
            shown += os.read(reader, 65536).decode()
    os.close(reader)
    assert "aaa: Downloading [========================>" in shown
    assert "500kB/1MB" in shown
    assert "\x1b[2A\r\x1b[2Kaaa: Pull complete\x1b[2B\r" in shown
    assert shown.endswith("Status: Downloaded newer image\r\nLoaded image: app\r\n")
