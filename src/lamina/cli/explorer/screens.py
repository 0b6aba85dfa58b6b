"""What opens above the explorer: a text, a list to choose from, a question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option


class Viewer(ModalScreen[None]):
    """Show a text; it is printable already."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape,q", "dismiss", "Close")]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        with Vertical(classes="above"):
            yield Label(f"{self._title}   (Esc closes)", markup=False)
            with VerticalScroll():
                yield Static(Text(self._text), id="text")


class Chooser(ModalScreen[int | None]):
    """Let one of several lines be chosen, and return its number; None for none."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape,q", "dismiss", "Close")]

    def __init__(self, title: str, lines: Sequence[Text]) -> None:
        super().__init__()
        self._title = title
        self._lines = lines

    @classmethod
    def of_texts(cls, title: str, lines: Sequence[str]) -> Chooser:
        """Return a chooser of plain lines."""
        return cls(title, [Text(line, no_wrap=True) for line in lines])

    def compose(self) -> ComposeResult:
        with Vertical(classes="above"):
            yield Label(f"{self._title}   (Enter goes there, Esc closes)", markup=False)
            yield OptionList(*(Option(line) for line in self._lines))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_index)


class Question(ModalScreen[str | None]):
    """Ask for a line of text, and return it; None when nothing is wanted."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss", "Close")]

    def __init__(self, title: str, value: str = "") -> None:
        super().__init__()
        self._title = title
        self._value = value

    def compose(self) -> ComposeResult:
        with Vertical(classes="above question"):
            yield Label(self._title, markup=False)
            yield Input(self._value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value)
