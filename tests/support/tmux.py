"""A real terminal to run a program in: tmux keeps its screen, so a test sees what a person would see."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.programs import need
from support.waiting import eventually


@dataclass
class TmuxTerminal:
    """A program in a terminal of its own, whose exit status a shell writes to the file `status`."""

    socket: Path
    status: Path

    def tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            [need("tmux"), "-S", str(self.socket), *arguments], capture_output=True, timeout=60, check=True
        )
        return done.stdout.decode(errors="replace")

    @property
    def screen(self) -> str:
        """The text that is on the screen."""
        return self.tmux("capture-pane", "-p")

    @property
    def coloured_screen(self) -> str:
        """The text with the escape sequences of its colours and weights."""
        return self.tmux("capture-pane", "-p", "-e")

    def until(self, text: str) -> str:
        """Wait until the screen shows `text`, and return it."""
        self._wait(lambda: text in self.screen, f"{text!r} was never shown")
        return self.screen

    def until_gone(self, text: str) -> None:
        self._wait(lambda: text not in self.screen, f"{text!r} stays")

    def _wait(self, holds: Callable[[], bool], failure: str) -> None:
        try:
            eventually(holds, 60)
        except AssertionError:
            pytest.fail(f"{failure}:\n{self.screen}")

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names, such as Down and C-a."""
        self.tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        self.tmux("send-keys", "-l", text)

    def click(self, text: str) -> None:
        """Press and release the left button where the screen shows `text` (xterm's mouse protocol, SGR form)."""
        lines = self.screen.splitlines()
        row = next(number for number, line in enumerate(lines, 1) if text in line)
        column = lines[row - 1].index(text) + 1
        self.type(f"\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m")

    def end(self) -> int:
        """Wait until the program ends, and return its exit status.

        tmux may never notice it: libutempter, which it calls when a terminal closes, drops the SIGCHLD that comes then.
        """
        self._wait(lambda: self.status.exists() and self.status.read_text().endswith("\n"), "the program goes on")
        return int(self.status.read_text())

    def clipboard(self) -> str:
        """What the program has copied by OSC 52."""
        return self.tmux("show-buffer")


@contextmanager
def tmux_terminal(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, size: tuple[int, int] = (80, 24)
) -> Iterator[TmuxTerminal]:
    """Run `command` until it ends by itself or the block does."""
    configuration = folder / "tmux.conf"
    configuration.write_text(
        "set -g set-clipboard on\nset -g status off\nset -g remain-on-exit on\nset -g escape-time 0\n"
    )
    terminal = TmuxTerminal(folder / "tmux", folder / "status")
    settings = [f"{name}={value}" for name, value in environment.items()]
    width, height = map(str, size)
    program = f"{shlex.join(['env', *settings, *command])}; echo $? > {shlex.quote(str(terminal.status))}"
    subprocess.run(
        [
            *(need("tmux"), "-S", str(terminal.socket), "-f", str(configuration)),
            *("new-session", "-d", "-x", width, "-y", height, program),
        ],
        timeout=60,
        check=True,
    )
    try:
        yield terminal
    finally:
        terminal.tmux("kill-server")
