"""The explorer's first frame, drawn by hand while Textual is still being loaded, which takes longer than all else."""

from __future__ import annotations

import os
import shutil
import sys
import termios
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lamina.api.explorer import LayerSummary, ListedFile
from lamina.cli.file_modes import kind_and_mode
from lamina.formats.sizes import human_size
from lamina.formats.text import printable

_CLEAR = "\x1b[?1049h\x1b[H\x1b[2J\x1b[?25l"
_BACK = "\x1b[?25h\x1b[?1049l"
LETTERS = {"added": "A", "modified": "M", "removed": "D", "": " "}


@contextmanager
def first_frame(layers: Sequence[LayerSummary], files: Sequence[ListedFile]) -> Iterator[None]:
    """Draw layers and files on the terminal's other screen, and give the terminal back as it was at the end.

    What is typed meanwhile is not echoed: it waits for whoever reads next.
    """
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal, termios.TCSANOW)
    try:
        width, height = shutil.get_terminal_size()
        rows = list(frame_rows(layers, files, width, height))
        write_all(_CLEAR + "\n".join(rows))
        yield
    finally:
        write_all(_BACK)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def write_all(text: str) -> None:
    """Write to the terminal itself: the command line's own stream writes every control character out."""
    data = memoryview(text.encode("utf-8", "replace"))
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]


def frame_rows(layers: Sequence[LayerSummary], files: Sequence[ListedFile], width: int, height: int) -> Iterator[str]:
    """Yield the lines of the frame: layers on the left, as the screen has them, files on the right."""
    room = max(1, height - 4)
    left = max(30, width * 2 // 5)
    columns = [layer_row(layer) for layer in layers][-(room - 1) :]
    names = ["▼ /", *(f"  {file_row(file)}" for file in files[:room])]
    yield f"{_cut('   #     Size  Created by', left)} {_cut('', width - left - 1)}".rstrip()
    for number in range(min(room, max(len(columns), len(names)))):
        layer = columns[number] if number < len(columns) else ""
        name = names[number] if number < len(names) else ""
        yield f"{_cut(layer, left)} {_cut(name, width - left - 1)}".rstrip()


def layer_row(layer: LayerSummary) -> str:
    """Return a layer on one line."""
    made_by = printable(" ".join(layer.created_by.split())) or layer.diff_id
    return f"{layer.number:4} {human_size(layer.size, 3):>8}  {made_by}"


def file_row(file: ListedFile) -> str:
    """Return a file on one line: what the layer did to it, kind and mode, size, name."""
    target = f" -> {file.state.target}" if file.state.target else ""
    size = human_size(file.state.size, 3) if file.state.type == "regular" else ""
    return f"{LETTERS[file.change]} {kind_and_mode(file.state)} {size:>8} {printable(file.name + target)}"


def _cut(text: str, width: int) -> str:
    """Return a text that takes `width` cells: wide characters are rare, and the next frame puts them right."""
    return text[:width].ljust(width)
