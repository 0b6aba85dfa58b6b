"""The explorer: layers on the left, the files of the chosen layer on the right, what is known of a file below."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import IO, ClassVar, TypeVar

from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Static, Tree

from lamina.api.explorer import LayerSummary, ListedFile, Search
from lamina.cli.explorer.files import CHANGES, FileTree, Place
from lamina.cli.explorer.findings import Finder, Findings, find_packages, find_savings, find_secrets, find_waste
from lamina.cli.explorer.labels import details, found_label, layer_cells
from lamina.cli.explorer.screens import Chooser, Question, Viewer
from lamina.errors import InvalidInput, LaminaError
from lamina.formats.sizes import human_size, parse_size
from lamina.formats.text import printable
from lamina.types.explorer import Explorer

VIEWED = 1 << 20  # bytes of a file that are shown
T = TypeVar("T")
_FINDERS: dict[str, Finder] = {
    "waste": find_waste,
    "savings": find_savings,
    "secrets": find_secrets,
    "packages": find_packages,
}


class KeyBar(Footer):
    """The keys below, left in place while they stay the same: a click on a key that is replaced meanwhile is lost."""

    _keys: tuple[tuple[Binding, bool], ...] = ()

    def bindings_changed(self, screen: Screen[object]) -> None:
        """Draw the keys of a screen again if they differ from those that are there."""
        keys = tuple((key.binding, key.enabled) for key in screen.active_bindings.values() if key.binding.show)
        if screen is self.screen and screen.app.app_focus and keys != self._keys:
            self._keys = keys
            super().bindings_changed(screen)


class ExplorerApp(App[None]):
    """Look into one image. Every action has a key, and a line in the list that `?` or a click on "Keys" opens."""

    CSS_PATH = "explorer.tcss"
    TITLE = "lamina explore"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("question_mark", "keys", "Keys", key_display="?"),
        Binding("slash", "search", "Search", key_display="/"),
        Binding("v", "view", "View"),
        Binding("b", "blame", "Blame"),
        Binding("x", "extract", "Extract"),
        Binding("y", "copy_path", "Copy path"),
        Binding("i", "find('savings')", "Savings"),
        Binding("w", "find('waste')", "Waste", show=False),
        Binding("k", "find('secrets')", "Secrets", show=False),
        Binding("p", "find('packages')", "Packages and licences", show=False),
        Binding("s", "larger", "Files larger than", show=False),
        Binding("a", "show_or_hide('added')", "Show or hide added files", show=False),
        Binding("m", "show_or_hide('modified')", "Show or hide modified files", show=False),
        Binding("d", "show_or_hide('removed')", "Show or hide removed files", show=False),
        Binding("u", "show_or_hide('')", "Show or hide unchanged files", show=False),
    ]

    def __init__(
        self,
        explorer: Explorer,
        reference: str,
        layers: tuple[LayerSummary, ...] | None = None,
        files: tuple[ListedFile, ...] | None = None,
    ) -> None:
        """`layers`, and the `files` in the root of the topmost one, are asked for where they are not here yet."""
        super().__init__()
        self._explorer = explorer
        self._reference = reference
        self._layers = explorer.layers(reference) if layers is None else layers
        self._layer = len(self._layers) - 1
        self._first_files = files

    def compose(self) -> ComposeResult:
        with Horizontal():
            table: DataTable[object] = DataTable(id="layers", cursor_type="row")
            yield table
            yield FileTree()
        yield Static("", id="details", markup=False)
        yield KeyBar()

    @property
    def files(self) -> FileTree:
        """Return the tree of files."""
        return self.query_one(FileTree)

    def on_mount(self) -> None:
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
        first, self._first_files = self._first_files, None
        if first is not None and not event.path and self._layer == len(self._layers) - 1:
            self.files.fill(event.node, event.path, first)
        else:
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

    def action_keys(self) -> None:
        """List all actions with their keys, and do the one that is chosen."""
        bindings = [binding for binding in self.BINDINGS if isinstance(binding, Binding)]
        lines = [f"{binding.key_display or binding.key:3} {binding.description}" for binding in bindings]

        async def act(number: int | None) -> None:
            if number is not None:
                await self.run_action(bindings[number].action)

        self.push_screen(Chooser.of_texts("Keys", lines), act)

    def action_show_or_hide(self, change: str) -> None:
        """Show or hide the files of one kind of change."""
        self.files.visible_changes ^= {change}
        names = [name or "unchanged" for name in CHANGES if name in self.files.visible_changes]
        self._say(f"shown: {', '.join(names) or 'folders alone'}")
        self.files.refilter()

    def action_search(self) -> None:
        """Ask for a part of a path, and list the files that have it."""

        def search(text: str | None) -> None:
            if text:
                self._search(Search(text=text))

        self.push_screen(Question("Part of a path"), search)

    def action_larger(self) -> None:
        """Ask for a size, and list the files of at least that size."""

        def search(text: str | None) -> None:
            size = self._asked(lambda: parse_size(text)) if text else None
            if size is not None:
                self._search(Search(smallest=size))

        self.push_screen(Question("Files of at least", "1m"), search)

    @work(thread=True)
    def _search(self, search: Search) -> None:
        kinds = tuple(kind for kind in CHANGES if kind in self.files.visible_changes)
        question = Search(text=search.text, smallest=search.smallest, changes=kinds)
        files = self._asked(lambda: self._explorer.find(self._reference, question, layer=self._layer))
        if files is not None:
            more = " or more" if len(files) == question.limit else ""
            lines, paths = [found_label(file) for file in files], [file.path for file in files]
            self.call_from_thread(self._choose, Findings(f"{len(files)}{more} files", lines, paths))

    def action_find(self, what: str) -> None:
        """Look for waste, savings, secrets or packages in the whole image, and list them."""
        self._say(f"looking for {what}…")
        self._find(_FINDERS[what])

    @work(thread=True)
    def _find(self, finder: Finder) -> None:
        findings = self._asked(lambda: finder(self._explorer, self._reference))
        if findings is not None:
            self.call_from_thread(self._say, findings.title)
            self.call_from_thread(self._choose, findings)

    def _choose(self, findings: Findings) -> None:
        def go(number: int | None) -> None:
            if number is not None and findings.paths[number]:
                self.files.restart(findings.paths[number])
                self.files.focus()

        self.push_screen(Chooser(findings.title, findings.lines), go)

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
        blame = self._asked(lambda: self._explorer.blame(self._reference, place.path))
        if blame is not None:
            lines = (f"{t.layer:4}  {t.change:8}  {printable(t.created_by)}" for t in blame.touches)
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
            self.copy_to_clipboard(printable(place.path))
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


def run(explorer: Explorer, reference: str, layers: tuple[LayerSummary, ...], files: tuple[ListedFile, ...]) -> None:
    """Run the explorer until it is left. `layers` and the `files` of the root are what the first frame shows."""
    # Textual writes to the streams that Python started with. The command line has put others in their place, which
    # write out every control character.
    for name, stream in (("__stdout__", sys.stdout), ("__stderr__", sys.stderr)):
        setattr(sys, name, os.fdopen(stream.fileno(), "w", encoding="utf-8", closefd=False))
    ExplorerApp(explorer, reference, layers, files).run()
