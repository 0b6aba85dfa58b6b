"""How files and layers are written: in letters first, so that nothing is lost without colour."""

from __future__ import annotations

from rich.text import Text

from lamina.api.explorer import FoundFile, HiddenFile, LayerSummary, ListedFile
from lamina.cli.file_modes import kind_and_mode
from lamina.formats.sizes import human_size
from lamina.formats.text import printable

LETTERS = {"added": "A", "modified": "M", "removed": "D", "": " "}
COLOURS = {"added": "green", "modified": "yellow", "removed": "red", "": ""}


def file_label(file: ListedFile) -> Text:
    """Return a line of the tree."""
    target = f" -> {file.state.target}" if file.state.target else ""
    size = human_size(file.state.size, 3) if file.state.type == "regular" else ""
    text = f"{LETTERS[file.change]} {kind_and_mode(file.state)} {size:>8} {printable(file.name + target)}"
    return Text(text, style=COLOURS[file.change], no_wrap=True)


def found_label(file: FoundFile) -> Text:
    """Return a line of what a search found."""
    size = human_size(file.state.size, 3)
    return Text(f"{LETTERS[file.change]} {size:>8} {printable(file.path)}", style=COLOURS[file.change], no_wrap=True)


def hidden_label(file: HiddenFile) -> Text:
    """Return a line of what is wasted."""
    size = human_size(file.size, 3)
    layers = f"layer {file.layer}, hidden by {file.hidden_by}"
    return Text(f"{size:>8} {printable(file.path)}  ({layers})", no_wrap=True)


def layer_cells(layer: LayerSummary) -> tuple[str, str, Text]:
    """Return the cells of a layer's row."""
    made_by = printable(" ".join(layer.created_by.split())) or layer.diff_id
    return str(layer.number), human_size(layer.size, 3), Text(made_by, no_wrap=True)


def details(path: str, file: ListedFile) -> str:
    """Return all that is known of a file, on one line."""
    state = file.state
    owner = f"{state.uid}:{state.gid}"
    return (
        f"{printable(path)}  {state.type}  {kind_and_mode(state)}  {owner}  {state.size} bytes  from layer {file.layer}"
    )
