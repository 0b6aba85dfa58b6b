"""Rows of a list: what each column is called and how it comes from what the daemon said."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from lamina.formats.printable import printable


class Column(NamedTuple):
    """`header` is its title in tables; `value` makes its text of the daemon's object and of whether to shorten it."""

    header: str
    value: Callable[[Mapping[str, Any], bool], str]


Columns = Mapping[str, Column]


class Row:
    """One object of a list as templates see it: `{{.ID}}` and the other columns, and `{{.Label "x"}}`.

    The fields of a `cell` are printable. Others are what the daemon said, byte for byte, for scripts.
    """

    def __init__(self, columns: Columns, document: Mapping[str, Any], trunc: bool, *, cell: bool = False) -> None:
        self._columns = columns
        self._document = document
        self._trunc = trunc
        self._cell = cell

    def field(self, name: str, arguments: Sequence[object]) -> str:
        """Return a column's text. Raises KeyError for one that is not there."""
        text = self._text(name, arguments)
        return printable(text) if self._cell else text

    def _text(self, name: str, arguments: Sequence[object]) -> str:
        if name == "Label" and len(arguments) == 1 and "Labels" in self._columns:
            return str((self._document.get("Labels") or {}).get(str(arguments[0]), ""))
        return self._columns[name].value(self._document, self._trunc)

    def as_json(self) -> object:
        """All columns, in the order of their names."""
        return {name: self.field(name, ()) for name in sorted(self._columns)}


class Headers:
    """The titles in the place of a row, for the first line of a table."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def field(self, name: str, arguments: Sequence[object]) -> str:
        if name == "Label" and arguments:
            return str(arguments[0]).rpartition(".")[2].replace("-", " ").replace("_", " ")
        return self._columns[name].header

    def as_json(self) -> object:
        return {name: column.header for name, column in self._columns.items()}


def short_id(identifier: str) -> str:
    """The first 12 digits of an ID, without its algorithm."""
    return identifier.removeprefix("sha256:")[:12]


def natural(text: str) -> list[str | int]:
    """A key that sorts numbers in names by their value, as Docker's lists do: "a2" before "a10"."""
    return [int(part) if at % 2 else part for at, part in enumerate(re.split(r"(\d+)", text))]


def ellipsis(text: str, width: int) -> str:
    """At most `width` characters, the last one … where something was cut off."""
    return text if len(text) <= width else text[: width - 1] + "…"


def joined_labels(document: Mapping[str, Any]) -> str:
    """Labels as `a=1,b=2`."""
    return ",".join(sorted(f"{name}={value}" for name, value in (document.get("Labels") or {}).items()))


LABELS = Column("LABELS", lambda document, trunc: joined_labels(document))
