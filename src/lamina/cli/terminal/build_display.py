"""A build on a terminal: its steps beside each other, with timers and the last lines of what runs.

The daemon sends a live build's values (docs/build-api.md). The frame is drawn anew ten times a second, in place; when
the build ends, all steps stay on the screen, and of one that failed all its output.
"""

from __future__ import annotations

import os
import threading
import time

from lamina.cli.build_step_names import StepNames, step_key
from lamina.cli.terminal.screen import drive
from lamina.formats.sizes import human_size
from lamina.formats.text import printable
from lamina.light import TYPE_CHECKING
from lamina.progress import Output, Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TextIO

    from lamina.progress import Message

_TAIL = 5  # lines of output below a step that runs
_MOST_OUTPUT = 256 << 10  # characters of a step's output that are kept; the end counts
_BEAT = 0.1  # seconds between frames
_NARROWEST = 20
_STATES = {"failed": "ERROR ", "cached": "CACHED "}


class _Step:
    """A step: its name, when it was first heard of and when it ended (seconds of a clock), and what it wrote."""

    def __init__(self, name: str, started: float) -> None:
        self.name = name
        self.started = started
        self.ended: float | None = None
        self.outcome = "run"
        self.output = ""
        self.parts: dict[str, str] = {}

    def write(self, text: str) -> None:
        self.output = (self.output + text)[-_MOST_OUTPUT:]

    def tail(self) -> list[str]:
        """Return the lines that are shown while the step runs; of a line that was written over, its last state."""
        lines = [line.rpartition("\r")[2] if not line.endswith("\r") else line for line in self.output.split("\n")]
        return [*self.parts.values(), *(line for line in lines if line.strip())][-_TAIL:]


class BuildFrames:
    """What is known of a build, as lines for a screen of any size. `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self._names = StepNames()
        self._steps: dict[str, _Step] = {}

    def hear(self, message: Message) -> None:
        """Take a message of a live build."""
        if isinstance(message, Output):
            self._aside(message.text)
        elif isinstance(message, Status):
            self._part(message)
        else:
            for kind, news in message.value.items():
                self._news(kind, news)

    def _news(self, kind: str, news: Any) -> None:
        if kind == "Plan":
            self._names.plan(news)
        elif kind == "Started" and (name := self._names.of(news)):
            self._steps[step_key(news)] = _Step(name, self._clock())
        elif kind == "Log" and (step := self._steps.get(step_key(news))) is not None:
            step.write(news["Text"])
        elif kind == "Step" and (step := self._steps.get(step_key(news))) is not None:
            step.ended = self._clock()
            step.outcome = news["Outcome"]

    def _aside(self, text: str) -> None:
        """Show lines that belong to no step, such as those of outputs, as work that is done."""
        for line in text.splitlines():
            step = self._steps[f"aside {len(self._steps)}"] = _Step(line, self._clock())
            step.ended = self._clock()

    def _part(self, message: Status) -> None:
        """Show the progress of a pull with the step that waits for it."""
        waiting = next((step for step in reversed(self._steps.values()) if step.ended is None), None)
        if waiting is not None and message.id:
            sizes = human_size(message.current) if message.current else ""
            sizes += f"/{human_size(message.total)}" if message.total else ""
            waiting.parts[message.id] = f"{message.id}: {message.status} {sizes}".rstrip()

    def lines(self, rows: int, columns: int, *, whole: bool = False) -> list[str]:
        """Return the frame: at most `rows` lines, the steps that run before those that have ended.

        With `whole` it is the last one, which has every step and no output.
        """
        now, steps = self._clock(), list(self._steps.values())
        done = sum(step.ended is not None for step in steps)
        head = f"[+] Building {now - self._begun:.1f}s ({done}/{len(steps)})" + (" FINISHED" if whole else "")
        blocks = [[_line(step, now, columns), *([] if whole else _tail(step, columns))] for step in steps]
        if not whole:
            blocks = _fitting(steps, blocks, rows - 1)
        return [head, *(line for block in blocks for line in block)]

    def failures(self) -> list[str]:
        """Return the names and the output of steps that failed."""
        lines: list[str] = []
        for step in self._steps.values():
            if step.outcome == "failed" and step.output:
                lines += ["------", f" > {step.name}:", *step.output.rstrip("\n").split("\n"), "------"]
        return lines


def _line(step: _Step, now: float, columns: int) -> str:
    seconds = f"{(now if step.ended is None else step.ended) - step.started:.1f}s"
    state = _STATES.get(step.outcome, "")
    width = max(_NARROWEST, columns - len(seconds) - 2)
    text = f" => {state}{printable(step.name)}"
    return f"{text[:width]:<{width}} {seconds}"


def _tail(step: _Step, columns: int) -> list[str]:
    if step.ended is not None:
        return []
    return [f" => => # {printable(line.replace(chr(9), ' '))}"[: columns - 1] for line in step.tail()]


def _fitting(steps: list[_Step], blocks: list[list[str]], rows: int) -> list[list[str]]:
    """Return the blocks that fit on the screen, in order: what runs first, then what ended last."""
    running = [number for number, step in enumerate(steps) if step.ended is None]
    ended = [number for number, step in enumerate(steps) if step.ended is not None]
    chosen: list[int] = []
    for number in (*running, *reversed(ended)):
        if rows < len(blocks[number]):
            break
        rows -= len(blocks[number])
        chosen.append(number)
    return [blocks[number] for number in sorted(chosen)]


class BuildDisplay:
    """Draw frames on a terminal from a thread of its own. A context manager: its end leaves the last frame."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._frames = BuildFrames()
        self._guard = threading.Lock()
        self._over = threading.Event()
        self._height = 0
        self._thread = threading.Thread(target=self._draw, daemon=True)

    def __enter__(self) -> BuildDisplay:
        self._thread.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._over.set()
        self._thread.join()
        lines = self._frames.lines(0, self._size()[1], whole=True)
        self._show([*lines, *(printable(text, "\t", colours=True) for text in self._frames.failures())])

    def hear(self, message: Message) -> None:
        """Take a message of a live build."""
        with self._guard:
            self._frames.hear(message)

    def _draw(self) -> None:
        while not self._over.wait(_BEAT):
            with self._guard:
                lines = self._frames.lines(*self._size())
            self._show(lines)

    def _size(self) -> tuple[int, int]:
        columns, rows = os.get_terminal_size(self._stream.fileno())
        return max(rows - 1, 2), columns or 80

    def _show(self, lines: list[str]) -> None:
        up = f"\x1b[{self._height}A" if self._height else ""
        self._height = len(lines)
        # Each line is cleared behind its end rather than before it, so that nothing flickers.
        drive(self._stream, f"{up}\r" + "".join(f"{line}\x1b[K\n" for line in lines) + "\x1b[J")
        self._stream.flush()
