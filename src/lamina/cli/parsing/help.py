"""The text of `--help`: how a command is written, what it does, its flags, and examples."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from lamina.cli.parsing.declare import Choice, Command, Option

_WIDEST = 78  # columns of the text, on a terminal that has more
_NARROWEST = 50
_NAMES = 30  # columns that names take at most; what is behind longer ones begins on the next line
_GAP = 2

Rows = Sequence[tuple[str, str]]


def command_help(command: Command, path: str) -> str:
    """Return the help of a command; `path` is "lamina ps"."""
    words = ["[OPTIONS]", *(argument.metavar for argument in command.arguments)]
    example = textwrap.dedent(command.example).strip("\n").splitlines()
    sections = [usage(path, words), _described(command.help), _listed("Options", option_rows(command))]
    return "\n".join(sections) + "\nExamples:\n" + "".join(f"  {line}\n" for line in example)


def group_help(path: str, summary: str, options: Rows, sections: Iterable[tuple[str, Rows]]) -> str:
    """Return the help of a group of commands, and of lamina itself. `sections` are titles with their commands."""
    tables = [("Options", options), *sections]
    texts = [usage(path, ["[OPTIONS]", "COMMAND", "[ARGS]..."]), _described(summary)]
    texts += [_listed(title, rows) for title, rows in tables if rows]
    return "\n".join(texts) + f"\nRun '{path} COMMAND --help' for more on a command, with examples.\n"


def usage(path: str, words: Sequence[str]) -> str:
    """Return the line "Usage: …", wrapped."""
    start = f"Usage: {path} "
    return _wrapped(" ".join(words), _width(), start, " " * len(start)) + "\n"


def option_rows(command: Command) -> list[tuple[str, str]]:
    """Return the names of each flag and what it does, `--help` last."""
    rows = [(_names(option), option.help) for option in command.options if not option.hidden]
    return [*rows, (", ".join(command.help_names), "Show this message and exit.")]


def _names(option: Option) -> str:
    ordered = sorted(option.names, key=lambda name: name.startswith("--"))
    text = ", ".join(ordered)
    if option.negatives:
        return f"{text} / {', '.join(option.negatives)}"
    if option.is_switch:
        return text
    words = option.convert.words if isinstance(option.convert, Choice) else ()
    return f"{text} [{'|'.join(words)}]" if words else f"{text} {option.metavar}"


def _described(text: str) -> str:
    """Return paragraphs, wrapped and indented."""
    paragraphs = textwrap.dedent(text if text.startswith(" ") else _indented_alike(text)).strip().split("\n\n")
    wrapped = [_wrapped(" ".join(part.split()), _width(), "  ", "  ") for part in paragraphs]
    return "\n\n".join(wrapped) + "\n"


def _indented_alike(docstring: str) -> str:
    """Return a docstring with its first line indented as the others are."""
    first, newline, rest = docstring.partition("\n")
    return first + newline + textwrap.dedent(rest)


def _listed(title: str, rows: Rows) -> str:
    return f"{title}:\n" + "".join(f"{line}\n" for line in _lines(rows))


def _lines(rows: Rows) -> Iterator[str]:
    column = min(max(len(name) for name, _ in rows), _NAMES) + _GAP
    width = max(_width() - column - 2, 10)
    for name, text in rows:
        first, *more = _wrapped(text, width).splitlines() or [""]
        if len(name) <= column - _GAP:
            yield f"  {name.ljust(column)}{first}".rstrip()
        else:
            yield f"  {name}"
            yield " " * (column + 2) + first
        yield from (" " * (column + 2) + line for line in more)


def _wrapped(text: str, width: int, first: str = "", others: str = "") -> str:
    return textwrap.fill(text, width, initial_indent=first, subsequent_indent=others)


def _width() -> int:
    return max(min(shutil.get_terminal_size().columns - 2, _WIDEST), _NARROWEST)
