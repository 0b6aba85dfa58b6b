"""Printing rows: as a table with columns in line, by a template, or as JSON, one object a line."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lamina.cli.show.rows import Columns, Headers, Row
from lamina.formats.printable import printable

MINIMUM = 10  # characters a column takes at least, as in Docker's tables
GAP = 3


def aligned(lines: Sequence[Sequence[str]], minimum: int = MINIMUM) -> list[str]:
    """Return printable cells with their columns in line; the last cell of a line is not padded."""
    lines = [[printable(cell) for cell in cells] for cells in lines]
    widths: list[int] = []
    for cells in lines:
        for at, cell in enumerate(cells[:-1]):
            if at == len(widths):
                widths.append(minimum)
            widths[at] = max(widths[at], len(cell) + GAP)
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
    terminal it is printable. Raises InvalidInput for a template that is wrong.
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
    """The lines of rows under a --format that is not the default."""
    from lamina.cli.template import Template
    from lamina.cli.template.values import to_json

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
