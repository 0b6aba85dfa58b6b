"""The functions of a format: Go's own and those Docker adds (`json`, `join`, `table`'s friends `pad`, `truncate`)."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote_plus

from lamina.cli.template import values
from lamina.errors import InvalidInput


def _strings(items: object) -> list[str]:
    if not isinstance(items, Sequence) or isinstance(items, str):
        raise InvalidInput("template: join wants a list")
    return [values.text(item) for item in items]


def _title(text: str) -> str:
    previous = " "
    out = []
    for char in text:
        out.append(char.title() if previous.isspace() else char)
        previous = char
    return "".join(out)


def pad(text: str, before: int, after: int) -> str:
    """Spaces around a text that is not empty."""
    return " " * before + text + " " * after if text else text


def truncate(text: str, length: int) -> str:
    """The first `length` characters."""
    return text[:length] if length >= 0 else text


def _equal(first: object, *others: object) -> bool:
    if not others:
        raise InvalidInput("template: missing argument for comparison")
    return any(values.equal(first, other) for other in others)


def _println(*arguments: object) -> str:
    return " ".join(values.text(argument) for argument in arguments) + "\n"


def _print(*arguments: object) -> str:
    """fmt.Sprint: spaces only between two values that are no strings."""
    out = ""
    for at, argument in enumerate(arguments):
        spaced = at and not isinstance(argument, str) and not isinstance(arguments[at - 1], str)
        out += (" " if spaced else "") + values.text(argument)
    return out


FUNCTIONS: Mapping[str, Callable[..., object]] = {
    "json": values.to_json,
    "split": lambda text, separator: text.split(separator) if separator else list(text),
    "join": lambda items, separator: separator.join(_strings(items)),
    "title": _title,
    "lower": lambda text: text.lower(),
    "upper": lambda text: text.upper(),
    "pad": pad,
    "truncate": truncate,
    "print": _print,
    "printf": lambda form, *arguments: values.printf(form, arguments),
    "println": _println,
    "len": values.length,
    "index": values.index,
    "slice": values.part,
    "not": lambda value: not values.truth(value),
    "eq": _equal,
    "ne": lambda first, second: not values.equal(first, second),
    "lt": values.less,
    "le": lambda first, second: not values.less(second, first),
    "gt": lambda first, second: values.less(second, first),
    "ge": lambda first, second: not values.less(first, second),
    "html": lambda *arguments: html.escape(_print(*arguments)),
    "js": lambda *arguments: values.to_json(_print(*arguments))[1:-1],
    "urlquery": lambda *arguments: quote_plus(_print(*arguments)),
}

# In the header of a table these leave their input alone, so that `{{upper .Names}}` is headed NAMES.
IN_HEADERS = {"json", "split", "join", "title", "lower", "upper", "pad", "truncate", "println"}


def header_functions() -> Mapping[str, Callable[..., object]]:
    """FUNCTIONS for rendering the header line of a table."""

    def same(value: object, *unused: object) -> object:
        return value

    return {name: same if name in IN_HEADERS else function for name, function in FUNCTIONS.items()}
