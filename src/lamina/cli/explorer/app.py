"""The explorer: layers on the left, the files of the chosen layer on the right, what is known of a file below."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import IO, ClassVar, TypeVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import DataTable, Footer, Static, Tree

from lamina.api.explorer import LayerSummary, Search
from lamina.cli.explorer.files import CHANGES, FileTree, Place
from lamina.cli.explorer.labels import details, found_label, hidden_label, layer_cells
from lamina.cli.explorer.screens import Chooser, Question, Viewer
from lamina.errors import InvalidInput, LaminaError
from lamina.formats.sizes import human_size, parse_size
from lamina.formats.text import printable
from lamina.types.explorer import Explorer

VIEWED = 1 << 20  # bytes of a file that are shown
T = TypeVar("T")


class ExplorerApp(App[None]):
    """Look into one image. Every action has a key, and the footer is a mouse's way to them."""

    CSS_PATH = "explorer.tcss"
    TITLE = "lamina explore"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("slash", "search", "Search"),
        Binding("v", "view", "View"),
        Binding("b", "blame", "Blame"),
        Binding("w", "waste", "Waste"),
        Binding("x", "extract", "Extract"),
        Binding("y", "copy_path", "Copy path"),
        Binding("s", "larger", "Larger than"),
        Binding("a", "show_or_hide('added')", "Added"),
        Binding("m", "show_or_hide('modified')", "Modified"),
        Binding("d", "show_or_hide('removed')", "Removed"),
        Binding("u", "show_or_hide('')", "Unchanged"),
    ]

    def __init__(self, explorer: Explorer, reference: str) -> None:
        super().__init__()
        self._explorer = explorer
        self._reference = reference
        self._layer = 0
        self._layers: tuple[LayerSummary, ...] = ()

    def compose(self) -> ComposeResult:
        with Horizontal():
            table: DataTable[object] = DataTable(id="layers", cursor_type="row")
            yield table
            yield FileTree()
        yield Static("", id="details", markup=False)
        yield Footer()

    @property
    def files(self) -> FileTree:
        """Return the tree of files."""
        return self.query_one(FileTree)

    def on_mount(self) -> None:
        self._layers = self._explorer.layers(self._reference)
        table = self.query_one(DataTable)
        table.add_columns("#", "Size", "Created by")
        for layer in self._layers:
            table.add_row(*layer_cells(layer), key=str(layer.number))
        table.move_cursor(row=len(self._layers) - 1)

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        self._layer = event.cursor_row
        self._say(printable(self._layers[self._layer].created_by))
        self.files.restart()

    def on_file_tree_opened(self, event: FileTree.Opened) -> None:
        self._read_folder(event)

    @work(thread=True)
    def _read_folder(self, event: FileTree.Opened) -> None:
        layer = self._layer
        files = self._asked(lambda: self._explorer.files(self._reference, event.path or "/", layer=layer))
        if files is not None and layer == self._layer:
            self.call_from_thread(self.files.fill, event.node, event.path, files)

    def on_tree_node_highlighted(self, event: Tree.NodeHighlighted[Place]) -> None:
        if event.node.data:
            self._say(details(event.node.data.path, event.node.data.file))

    def action_show_or_hide(self, change: str) -> None:
        """Show or hide the files of one kind of change."""
        self.files.wanted ^= {change}
        shown = [name or "unchanged" for name in CHANGES if name in self.files.wanted]
        self._say(f"shown: {', '.join(shown) or 'folders alone'}")
        self.files.refilter()

    def action_search(self) -> None:
        """Ask for a part of a path, and list the files that have it."""

        def search(text: str | None) -> None:
            if text:
                self._find(Search(text=text))

        self.push_screen(Question("Part of a path"), search)

    def action_larger(self) -> None:
        """Ask for a size, and list the files of at least that size."""

        def search(text: str | None) -> None:
            size = self._asked(lambda: parse_size(text)) if text else None
            if size is not None:
                self._find(Search(smallest=size))

        self.push_screen(Question("Files of at least", "1m"), search)

    def action_waste(self) -> None:
        """Count what nobody sees in the image, and list the files that make it up."""
        self._show_waste()

    @work(thread=True)
    def _find(self, search: Search) -> None:
        kinds = tuple(kind for kind in CHANGES if kind in self.files.wanted)
        wanted = Search(text=search.text, smallest=search.smallest, changes=kinds)
        found = self._asked(lambda: self._explorer.find(self._reference, wanted, layer=self._layer))
        if found is not None:
            lines = [found_label(file) for file in found]
            more = " or more" if len(found) == wanted.limit else ""
            self.call_from_thread(self._choose, f"{len(found)}{more} files", lines, [file.path for file in found])

    @work(thread=True)
    def _show_waste(self) -> None:
        report = self._asked(lambda: self._explorer.report(self._reference))
        if report is None:
            return
        title = f"Efficiency {report.efficiency.score:.2%}; {report.hidden_files} hidden files"
        title = f"{title}, {human_size(report.hidden_bytes, 3)}"
        lines = [hidden_label(file) for file in report.hidden]
        self.call_from_thread(self._choose, title, lines, [file.path for file in report.hidden])

    def _choose(self, title: str, lines: list[Text], paths: list[str]) -> None:
        def go(number: int | None) -> None:
            if number is not None:
                self.files.restart(paths[number])
                self.files.focus()

        self.push_screen(Chooser(title, lines), go)

    def action_view(self) -> None:
        """Show the text of a file."""
        if (place := self._regular()) is not None:
            self._view(place)

    @work(thread=True)
    def _view(self, place: Place) -> None:
        if place.file.state.size > VIEWED:
            limit = human_size(VIEWED, 3)
            self.call_from_thread(self._say, f"files above {limit} are not shown here: extract it")
            return
        sink = io.BytesIO()
        if self._asked(lambda: self._read(place, sink)):
            text = printable(sink.getvalue().decode("utf-8", "backslashreplace"), keep="\n\t")
            self.call_from_thread(self.push_screen, Viewer(printable(place.path), text))

    def action_blame(self) -> None:
        """Show which instructions brought and changed a file."""
        if (place := self._selected()) is not None:
            self._blame(place)

    @work(thread=True)
    def _blame(self, place: Place) -> None:
        found = self._asked(lambda: self._explorer.blame(self._reference, place.path))
        if found is not None:
            lines = (f"{t.layer:4}  {t.change:8}  {printable(t.created_by)}" for t in found.touches)
            self.call_from_thread(self.push_screen, Viewer(printable(place.path), "\n".join(lines)))

    def action_extract(self) -> None:
        """Ask where to put a file, and write it there."""
        place = self._regular()
        if place is None:
            return

        def extract(target: str | None) -> None:
            if target:
                self._extract(place, target)

        self.push_screen(Question(f"Write {printable(place.path)} to", printable(place.file.name)), extract)

    @work(thread=True)
    def _extract(self, place: Place, target: str) -> None:
        def write() -> bool:
            try:
                descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            except OSError as error:
                raise InvalidInput(f"{target}: {error.strerror}", path=target) from None
            with os.fdopen(descriptor, "wb") as sink:
                return self._read(place, sink)

        if self._asked(write):
            self.call_from_thread(self._say, f"written to {target}")

    def action_copy_path(self) -> None:
        """Put a file's path into the terminal's clipboard."""
        if (place := self._selected()) is not None:
            self.copy_to_clipboard(place.path)
            self._say(f"copied {printable(place.path)}")

    def _read(self, place: Place, sink: IO[bytes]) -> bool:
        self._explorer.read(self._reference, place.path, sink, layer=place.file.layer)
        return True

    def _selected(self) -> Place | None:
        node = self.files.cursor_node
        if node is None or node.data is None:
            self._say("choose a file in the tree first")
            return None
        return node.data

    def _regular(self) -> Place | None:
        place = self._selected()
        if place is not None and place.file.state.type != "regular":
            self._say(f"{printable(place.path)} is no regular file")
            return None
        return place

    def _asked(self, question: Callable[[], T]) -> T | None:
        """Return an answer of the engine; None after an error, which is told below."""
        try:
            return question()
        except LaminaError as error:
            self.call_later(self._say, printable(error.message))
            return None

    def _say(self, text: str) -> None:
        self.query_one("#details", Static).update(text)


def run(explorer: Explorer, reference: str) -> None:
    """Run the explorer until it is left. Raise NotFound for an unknown image before the terminal changes."""
    explorer.layers(reference)
    # Textual writes to the streams that Python started with. The command line has put others in their place, which
    # write out every control character.
    for name, stream in (("__stdout__", sys.stdout), ("__stderr__", sys.stderr)):
        setattr(sys, name, os.fdopen(stream.fileno(), "w", encoding="utf-8", closefd=False))
    ExplorerApp(explorer, reference).run()
