"""Lists as people and scripts read them: a table with aligned columns, a template, or one JSON object a line."""

from __future__ import annotations

import sys
import time
from itertools import groupby

from lamina.formats.text import printable
from lamina.formats.times import human_duration
from lamina.light import TYPE_CHECKING, Mapping, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    Columns = Mapping[str, "Column"]


class Column(NamedTuple):
    """`header` is its title in tables; `value` returns its text for an object of the daemon, shortened or not."""

    header: str
    value: Callable[[Mapping[str, Any], bool], str]


class Row:
    """One object of a list as templates see it: `{{.ID}}` and the other columns, and `{{.Label "x"}}`.

    The fields of a `cell` are printable. Others are the daemon's text, byte for byte, for scripts.
    """

    def __init__(self, columns: Columns, document: Mapping[str, Any], trunc: bool, *, cell: bool = False) -> None:
        self._columns = columns
        self._document = document
        self._trunc = trunc
        self._cell = cell

    def field(self, name: str, arguments: Sequence[object]) -> str:
        """Return a column's text. Raise KeyError for one that is not there."""
        text = self._text(name, arguments)
        return printable(text) if self._cell else text

    def _text(self, name: str, arguments: Sequence[object]) -> str:
        if name == "Label" and len(arguments) == 1 and "Labels" in self._columns:
            return str((self._document.get("Labels") or {}).get(str(arguments[0]), ""))
        return self._columns[name].value(self._document, self._trunc)

    def as_json(self) -> object:
        """Return all columns, in the order of their names."""
        return {name: self.field(name, ()) for name in sorted(self._columns)}


class Headers:
    """The titles of the columns as a row, for the first line of a table."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def field(self, name: str, arguments: Sequence[object]) -> str:
        if name == "Label" and arguments:
            return str(arguments[0]).rpartition(".")[2].replace("-", " ").replace("_", " ")
        return self._columns[name].header

    def as_json(self) -> object:
        return {name: column.header for name, column in self._columns.items()}


def short_id(identifier: str) -> str:
    """Return the first 12 digits of an ID, without its algorithm."""
    return identifier.removeprefix("sha256:")[:12]


def natural(text: str) -> list[str | int]:
    """Return a key that sorts numbers in names by their value, as Docker does: "a2" before "a10"."""
    parts: list[str | int] = [""]  # text and numbers by turns, text first
    for is_number, letters in groupby(text, str.isdecimal):
        part = "".join(letters)
        if is_number:
            parts += [int(part), ""]
        else:
            parts[-1] = part
    return parts


def ellipsis(text: str, width: int) -> str:
    """Return at most `width` characters. A text that was cut ends in …."""
    return text if len(text) <= width else text[: width - 1] + "…"


def joined_labels(document: Mapping[str, Any]) -> str:
    """Return labels as `a=1,b=2`."""
    return ",".join(sorted(f"{name}={value}" for name, value in (document.get("Labels") or {}).items()))


LABELS = Column("LABELS", lambda document, trunc: joined_labels(document))


MINIMUM = 10  # characters a column takes at least, as in Docker's tables
GAP = 3


def aligned(lines: Sequence[Sequence[str]], minimum: int = MINIMUM) -> list[str]:
    """Return printable cells with their columns in line; the last cell of a line is not padded."""
    lines = [[printable(cell) for cell in cells] for cells in lines]
    widths: list[int] = []
    for cells in lines:
        for column, cell in enumerate(cells[:-1]):
            if column == len(widths):
                widths.append(minimum)
            widths[column] = max(widths[column], len(cell) + GAP)
    return ["".join(c.ljust(w) for c, w in zip(cells[:-1], widths, strict=False)) + cells[-1] for cells in lines]


def print_rows(
    documents: Iterable[Mapping[str, Any]],
    columns: Columns,
    default: Sequence[str],
    *,
    form: str = "",
    quiet: str = "",
    trunc: bool = True,
) -> None:
    """Print a list: `default` columns as a table, or as `form` (a --format) or `quiet` (a column alone) says.

    A table is for people, and is printable also in a pipe. What `form` and `quiet` print is for scripts: only on a
    terminal it is printable. Raise InvalidInput for a template that is wrong.
    """
    is_table = form.startswith("table") or not form
    rows = [Row(columns, document, trunc, cell=is_table and not quiet) for document in documents]
    if quiet and form in ("", "table"):
        lines = [row.field(quiet, ()) for row in rows]
    elif form in ("", "table"):
        titles = [columns[name].header for name in default]
        lines = aligned([titles, *([row.field(name, ()) for name in default] for row in rows)])
    else:
        lines = formatted(rows, columns, form)
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def formatted(rows: Sequence[Row], columns: Columns, form: str) -> list[str]:
    """Return the lines of rows under a --format that is not the default. Raise InvalidInput."""
    from lamina.cli.template import Template
    from lamina.cli.template.functions import to_json

    if form == "json":
        return [to_json(row) for row in rows]
    titled = form.startswith("table")
    text = form.removeprefix("table").strip(" ") if titled else form
    template = Template.parse(text.replace("\\t", "\t").replace("\\n", "\n"))
    lines = [template.render(row) for row in rows]
    if not titled:
        return lines
    lines = "\n".join([template.render_header(Headers(columns)), *lines]).split("\n")
    return aligned([line.split("\t") for line in lines])


def write_lines(lines: Iterable[str]) -> None:
    """Print lines for people, each one printable, in one write."""
    text = "".join(f"{printable(line)}\n" for line in lines)
    sys.stdout.write(text)


def ago(epoch: float) -> str:
    """Return how long ago a moment was: "2 hours ago"."""
    return f"{human_duration(max(0.0, time.time() - epoch))} ago"


def created_at(epoch: float) -> str:
    """Return a moment in local time, as Docker's tables show it: "2026-05-07 20:33:45 +0000 UTC"."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(epoch))


def rfc3339(epoch: float) -> str:
    """Return a moment in local time with its zone: "2026-05-07T20:33:45Z"."""
    zone = time.strftime("%z", time.localtime(epoch))
    suffix = "Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}"
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(epoch)) + suffix


def rfc3339_nano(nanoseconds: int) -> str:
    """Return `rfc3339` with nine digits of the second."""
    base = rfc3339(nanoseconds // 10**9)
    return f"{base[:19]}.{nanoseconds % 10**9:09d}{base[19:]}"


def render_document(document: Mapping[str, Any], form: str) -> str:
    """Return one object under a --format, as JSON or by a template. A key that it lacks is nil. Raise InvalidInput."""
    from lamina.cli.template import Template
    from lamina.cli.template.evaluate import lenient
    from lamina.cli.template.functions import to_json

    return to_json(document) if form == "json" else Template.parse(form).render(document, lenient)
