"""Parameters of a request's query: how each kind of value is written in a URL, in both directions.

The rules are those of moby's `api/server/httputils/form.go`, which every Docker client relies on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from lamina.errors import InvalidInput
from lamina.formats.document import encode_json

T = TypeVar("T")
Query = Mapping[str, Sequence[str]]  # every value of every parameter, in the order sent

_FALSE = frozenset({"", "no", "false", "none", "0"})
_NUMBER = re.compile(r"[+-]?[0-9]{1,19}")
_SHOWN = 40  # characters of a bad value that an error repeats


def parse_flag(value: str) -> bool:
    """Return Docker's truth of a text: everything but "", 0, no, false and none is true, in any case."""
    return value.strip().lower() not in _FALSE


def parse_number(name: str, value: str) -> int | None:
    """Return the whole number in `value`, or None when it is empty; `name` is the parameter's.

    Raise InvalidInput for anything but a whole number of 64 bits.
    """
    if not value:
        return None
    if not _NUMBER.fullmatch(value) or not -(1 << 63) <= (number := int(value)) < 1 << 63:
        raise InvalidInput(f"{name}: {value[:_SHOWN]!r} is not a number", parameter=name)
    return number


def parse_json(name: str, value: str, type: type[T], default: T) -> T:
    """Return the JSON in `value` as a `type`, or `default` when it is empty or null.

    Raise InvalidInput, naming the parameter and the field, for anything else.
    """
    if value in ("", "null"):
        return default
    try:
        return msgspec.json.decode(value.encode(), type=type)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"invalid JSON in {name}: {error}", parameter=name) from error


def write_json(value: Any) -> str:
    """Return `value` as compact JSON text."""
    return encode_json(value).decode()
