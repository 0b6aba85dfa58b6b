"""Reading JSON documents that came from outside: strict decoding, and errors that name the field.

A field is named by its path from the top of its document, such as `layers[2].digest`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from lamina.errors import InvalidInput
from lamina.formats.text import valid_unicode

MAX_DEPTH = 100  # objects and lists inside each other; real documents stay below 20

Document = Mapping[str, Any]


def decode_object(raw: bytes, what: str) -> dict[str, Any]:
    """Return the JSON object in `raw` (UTF-8, RFC 8259); `what` names the document in errors.

    Raise InvalidInput for anything that is not one JSON object, or is nested deeper than MAX_DEPTH.
    """
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The {what} is not valid JSON: {error}", document=what) from error
    if not isinstance(value, dict):
        raise InvalidInput(f"The {what} is not a JSON object", document=what)
    check_depth(value, what)
    return value


def encode(value: Any) -> bytes:
    """Return `value` as JSON, always the same bytes for the same value: keys sorted, no white space."""
    return encode_json(value, order="sorted")


def encode_json(value: Any, *, order: Literal["sorted"] | None = None) -> bytes:
    """Return `value` as JSON; names that are not UTF-8 are shown as Docker shows them (`valid_unicode`)."""
    try:
        return msgspec.json.encode(value, order=order)
    except UnicodeEncodeError:
        return msgspec.json.encode(_valid(msgspec.to_builtins(value)), order=order)


def encode_key(value: Any) -> bytes:
    """Return bytes that no other value has: those of `encode_json`, if all texts in `value` are UTF-8."""
    try:
        return msgspec.json.encode(value, order="sorted")
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value), sort_keys=True).encode()


def _valid(value: Any) -> Any:
    if isinstance(value, str):
        return valid_unicode(value)
    if isinstance(value, dict):
        return {_valid(key): _valid(member) for key, member in value.items()}
    return [_valid(member) for member in value] if isinstance(value, list | tuple) else value


def bad_field(what: str, field: str, problem: str) -> InvalidInput:
    """Return the error for one wrong field, for the caller to raise."""
    return InvalidInput(f"The {what} has a bad field {field!r}: {problem}", document=what, field=field)


def text(document: Document, key: str, what: str, where: str = "") -> str:
    """Return the string at `key`; "" where it is absent or null."""
    value = document.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise bad_field(what, where + key, "a string is needed")
    return value


def integer(document: Document, key: str, what: str, where: str = "") -> int:
    """Return the whole number at `key`, which must be there. Numbers such as `7.0` count as whole."""
    value = document.get(key)
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise bad_field(what, where + key, "a whole number is needed")
    return value


def objects(document: Document, key: str, what: str, where: str = "") -> list[dict[str, Any]]:
    """Return the list of objects at `key`; empty where it is absent or null."""
    value = document.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise bad_field(what, where + key, "a list is needed")
    for position, item in enumerate(value):
        if not isinstance(item, dict):
            raise bad_field(what, f"{where}{key}[{position}]", "an object is needed")
    return value


def mapping(document: Document, key: str, what: str, where: str = "") -> dict[str, Any] | None:
    """Return the object at `key`, or None where it is absent or null."""
    value = document.get(key)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise bad_field(what, where + key, "an object is needed")
    return value


def strings(document: Document, key: str, what: str, where: str = "") -> tuple[str, ...]:
    """Return the list of strings at `key`; empty where it is absent or null."""
    value = document.get(key)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise bad_field(what, where + key, "a list is needed")
    for position, item in enumerate(value):
        if not isinstance(item, str):
            raise bad_field(what, f"{where}{key}[{position}]", "a string is needed")
    return tuple(value)


def string_map(document: Document, key: str, what: str, where: str = "") -> dict[str, str]:
    """Return the object of strings at `key`, such as annotations; empty where it is absent or null."""
    value = mapping(document, key, what, where) or {}
    for name, item in value.items():
        if not isinstance(item, str):
            raise bad_field(what, f"{where}{key}[{name!r}]", "a string is needed")
    return value


def refuse_nul(value: Any, what: str, field: str) -> None:
    """Raise InvalidInput for a string with a NUL, which no path, name or variable can hold, anywhere in `value`."""
    if isinstance(value, str) and "\0" in value:
        raise bad_field(what, field, "it holds a NUL")
    if isinstance(value, dict):
        for key, item in value.items():
            refuse_nul(key, what, field)
            refuse_nul(item, what, f"{field}.{key}")
    if isinstance(value, list):
        for position, item in enumerate(value):
            refuse_nul(item, what, f"{field}[{position}]")


def check_depth(value: Any, what: str) -> None:
    """Raise InvalidInput for what is nested deeper than MAX_DEPTH; `what` names the document."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise InvalidInput(f"The {what} is nested deeper than {MAX_DEPTH} levels", document=what)
