"""The functions of a format, and Go's view of values: what counts as true, how they print, compare and index."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable
from urllib.parse import quote_plus

from lamina.errors import InvalidInput

VERB = re.compile(r"%([-+# 0]*)(\*|\d+)?(?:\.(\d+))?([a-zA-Z%])")


@runtime_checkable
class Fields(Protocol):
    """A value with fields that are computed, and may take arguments: `{{.Label "x"}}`."""

    def field(self, name: str, arguments: Sequence[object]) -> object:
        """Return the field's value. Raise KeyError for an unknown name."""
        ...

    def as_json(self) -> object:
        """Return the value that `{{json .}}` shows."""
        ...


class Struct(dict[str, object]):
    """A map that is a struct in Go: `%v` prints its values only."""


def truth(value: object) -> bool:
    """Return whether `if` takes the value for true. Zero, nil and empty values are false."""
    if isinstance(value, Fields):
        return True
    return bool(value)


def format_value(value: object) -> str:
    """Return the text of a value, as Go's `%v` prints it."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, Fields):
        return format_value(value.as_json())
    if isinstance(value, Struct):
        return "{" + " ".join(format_value(item) for item in value.values()) + "}"
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{key}:{format_value(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, Sequence):
        return "[" + " ".join(format_value(item) for item in value) + "]"
    return str(value)


def _float(value: float) -> str:
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    text = repr(value)
    return re.sub(r"e([+-])(\d)$", r"e\g<1>0\2", text)


def to_json(value: object) -> str:
    """Return the value as `{{json .}}` prints it: compact, unescaped `<`, `>` and `&`, keys in their own order."""
    return json.dumps(_jsonable(value), ensure_ascii=False, separators=(",", ":"))


def _jsonable(value: object) -> object:
    if isinstance(value, Fields):
        return value.as_json()
    if isinstance(value, Mapping):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    return value


def printf(form: str, arguments: Sequence[object]) -> str:
    """Return what Go's fmt.Sprintf returns, for the verbs that show strings, numbers and booleans."""
    rest = list(arguments)

    def one(match: re.Match[str]) -> str:
        flags, width, precision, verb = match.groups()
        if verb == "%":
            return "%"
        if width == "*":
            width = str(rest.pop(0)) if rest else "0"
        if not rest:
            return f"%!{verb}(MISSING)"
        text = _verb(verb, rest.pop(0), flags, int(precision) if precision else None)
        return _padded(text, flags, int(width or 0))

    result = VERB.sub(one, form)
    extra = ", ".join(f"{_type_name(value)}={format_value(value)}" for value in rest)
    return result + (f"%!(EXTRA {extra})" if extra else "")


def _padded(text: str, flags: str, width: int) -> str:
    if "-" in flags:
        return text.ljust(width)
    return text.zfill(width) if "0" in flags else text.rjust(width)


def _verb(verb: str, value: object, flags: str, precision: int | None) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if verb in "sv":
        text = format_value(value)
        return text if precision is None else text[:precision]
    if verb == "q":
        return json.dumps(format_value(value), ensure_ascii=False)
    if verb in "dboxXc" and isinstance(value, int) and number:
        text = chr(value) if verb == "c" else format(value, verb)
        return "+" + text if "+" in flags and value >= 0 and verb == "d" else text
    if verb in "feEgG" and isinstance(value, int | float) and number:
        return format(float(value), f".{6 if precision is None else precision}{verb}")
    if verb in "xX" and isinstance(value, str):
        return value.encode().hex() if verb == "x" else value.encode().hex().upper()
    if verb == "t" and isinstance(value, bool):
        return format_value(value)
    if verb == "T":
        return _type_name(value)
    return f"%!{verb}({_type_name(value)}={format_value(value)})"


def _type_name(value: object) -> str:
    names = {bool: "bool", int: "int", float: "float64", str: "string", type(None): "<nil>"}
    return names.get(type(value), "map[string]interface {}" if isinstance(value, Mapping) else "[]interface {}")


def index(value: object, *keys: object) -> object:
    """Return `index x 1 "key"`. Lists are indexed by number and maps by key; a missing key is nil."""
    for key in keys:
        if value is None:
            raise InvalidInput("template: index of untyped nil")
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, Sequence) and isinstance(key, int):
            if not 0 <= key < len(value):
                raise InvalidInput(f"template: index out of range: {key}")
            value = ord(value[key]) if isinstance(value, str) else value[key]
        else:
            raise InvalidInput(f"template: can't index item of type {_type_name(value)}")
    return value


def part(value: object, *bounds: object) -> object:
    """Return `slice x 1 2`, a part of a string or list."""
    are_numbers = all(isinstance(bound, int) for bound in bounds)
    if not isinstance(value, str | list | tuple) or not are_numbers or len(bounds) > 2:
        raise InvalidInput(f"template: can't slice item of type {_type_name(value)}")
    numbers = [int(str(bound)) for bound in bounds]
    start = numbers[0] if numbers else 0
    end = numbers[1] if len(numbers) > 1 else len(value)
    if not 0 <= start <= end <= len(value):
        raise InvalidInput("template: index out of range in slice")
    return value[start:end]


def length(value: object) -> int:
    """Return `len x`. Strings are counted in bytes."""
    if not isinstance(value, str | Mapping | Sequence):
        raise InvalidInput(f"template: len of type {_type_name(value)}")
    return len(value.encode()) if isinstance(value, str) else len(value)


def equal(first: object, second: object) -> bool:
    """Return `eq`, of one pair. Raise InvalidInput for kinds that Go cannot compare."""
    kinds = {_kind(first), _kind(second)}
    if len(kinds) > 1 and "nil" not in kinds:
        raise InvalidInput("template: incompatible types for comparison")
    return first == second


def less(first: object, second: object) -> bool:
    """Return `lt`. Raise InvalidInput for values without an order."""
    if isinstance(first, str) and isinstance(second, str):
        return first < second
    if _kind(first) == _kind(second) == "number":
        return float(str(first)) < float(str(second))
    raise InvalidInput("template: incompatible types for comparison")


def _kind(value: object) -> str:
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else "string" if isinstance(value, str) else "other"


def _strings(items: object) -> list[str]:
    if not isinstance(items, Sequence) or isinstance(items, str):
        raise InvalidInput("template: join wants a list")
    return [format_value(item) for item in items]


def _title(text: str) -> str:
    previous = " "
    out = []
    for char in text:
        out.append(char.title() if previous.isspace() else char)
        previous = char
    return "".join(out)


def pad(text: str, before: int, after: int) -> str:
    """Return the text with spaces around it. An empty text stays empty."""
    return " " * before + text + " " * after if text else text


def truncate(text: str, length: int) -> str:
    """Return the first `length` characters."""
    return text[:length] if length >= 0 else text


def _equal(first: object, *others: object) -> bool:
    if not others:
        raise InvalidInput("template: missing argument for comparison")
    return any(equal(first, other) for other in others)


def _println(*arguments: object) -> str:
    return " ".join(format_value(argument) for argument in arguments) + "\n"


def _print(*arguments: object) -> str:
    """Return fmt.Sprint: a space between two values only if neither is a string."""
    out = ""
    for position, argument in enumerate(arguments):
        spaced = position and not isinstance(argument, str) and not isinstance(arguments[position - 1], str)
        out += (" " if spaced else "") + format_value(argument)
    return out


FUNCTIONS: Mapping[str, Callable[..., object]] = {
    "json": to_json,
    "split": lambda text, separator: text.split(separator) if separator else list(text),
    "join": lambda items, separator: separator.join(_strings(items)),
    "title": _title,
    "lower": lambda text: text.lower(),
    "upper": lambda text: text.upper(),
    "pad": pad,
    "truncate": truncate,
    "print": _print,
    "printf": lambda form, *arguments: printf(form, arguments),
    "println": _println,
    "len": length,
    "index": index,
    "slice": part,
    "not": lambda value: not truth(value),
    "eq": _equal,
    "ne": lambda first, second: not equal(first, second),
    "lt": less,
    "le": lambda first, second: not less(second, first),
    "gt": lambda first, second: less(second, first),
    "ge": lambda first, second: not less(first, second),
    "html": lambda *arguments: html.escape(_print(*arguments)),
    "js": lambda *arguments: to_json(_print(*arguments))[1:-1],
    "urlquery": lambda *arguments: quote_plus(_print(*arguments)),
}

# In the header of a table these leave their input alone, so that `{{upper .Names}}` is headed NAMES.
IN_HEADERS = {"json", "split", "join", "title", "lower", "upper", "pad", "truncate", "println"}


def header_functions() -> Mapping[str, Callable[..., object]]:
    """Return FUNCTIONS for the header line of a table."""

    def same(value: object, *unused: object) -> object:
        return value

    return {name: same if name in IN_HEADERS else function for name, function in FUNCTIONS.items()}
