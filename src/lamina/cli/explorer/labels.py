"""How files, layers and findings are written: in letters first, so that nothing is lost without colour."""

from __future__ import annotations

from rich.text import Text

from lamina.api.explorer import FoundFile, HiddenFile, LayerSummary, ListedFile
from lamina.api.explorer_findings import InstalledPackage, Saving, Secret
from lamina.cli.explorer.first_frame import LETTERS, file_row
from lamina.cli.file_modes import kind_and_mode
from lamina.formats.sizes import human_size
from lamina.formats.text import printable

COLOURS = {"added": "green", "modified": "yellow", "removed": "red", "": ""}


def file_label(file: ListedFile) -> Text:
    """Return a line of the tree."""
    return Text(file_row(file), style=COLOURS[file.change], no_wrap=True)


def found_label(file: FoundFile) -> Text:
    """Return a line of what a search found."""
    size = human_size(file.state.size, 3)
    return Text(f"{LETTERS[file.change]} {size:>8} {printable(file.path)}", style=COLOURS[file.change], no_wrap=True)


def hidden_label(file: HiddenFile) -> Text:
    """Return a line of what is wasted."""
    size = human_size(file.size, 3)
    layers = f"layer {file.layer}, hidden by {file.hidden_by}"
    return Text(f"{size:>8} {printable(file.path)}  ({layers})", no_wrap=True)


def saving_label(saving: Saving) -> Text:
    """Return two lines: how much a layer could do without, and what to change."""
    size = human_size(saving.bytes, 3)
    path = printable(saving.paths[0]) if saving.paths else ""
    head = f"{size:>8} {saving.kind}, layer {saving.layer}, {saving.files} files: {path}"
    return Text(f"{head}\n         {saving.advice}")


def secret_label(secret: Secret) -> Text:
    """Return a line of what looks like a secret."""
    place = "" if secret.layer is None else f", layer {secret.layer}"
    hidden = "" if secret.hidden_by is None else f", hidden by {secret.hidden_by}"
    return Text(f"{printable(secret.name)}\n    {secret.rule}: {secret.reason}{place}{hidden}")


def package_label(package: InstalledPackage) -> Text:
    """Return a line of a package with its licences."""
    licenses = printable(", ".join(package.licenses)) or "no licence named"
    return Text(f"{package.kind:5} {printable(package.name)} {printable(package.version)}  {licenses}", no_wrap=True)


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
