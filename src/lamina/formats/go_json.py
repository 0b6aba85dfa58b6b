"""JSON as Go's decoder reads it, which every client of Docker's API relies on.

Names of members may be in any case. A null is no value: a member keeps its default, an element of a list and a value of
a map is the empty value of its type. Rules: Go, `encoding/json`, `Unmarshal`; the sentences are those of moby,
`daemon/server/httputils`, `ReadJSON`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from lamina.errors import InvalidInput
from lamina.formats.document import check_depth
from lamina.formats.text import valid_unicode

T = TypeVar("T")
_Shape = Callable[[Any], Any]

_MALFORMED = re.compile(r"JSON is malformed: (?P<problem>.*) \(byte (?P<position>\d+)\)")
_GO_PROBLEMS = {  # msgspec's words for a place in the text, and Go's
    "object keys must be strings": "looking for beginning of object key string",
    "expected ':'": "after object key",
    "expected ',' or '}'": "after object key:value pair",
    "expected ',' or ']'": "after array element",
}


def parse(raw: bytes) -> Any:
    """Return the value of one JSON text. A byte that is no UTF-8 becomes U+FFFD. Raise InvalidInput."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        raw = valid_unicode(raw.decode("utf-8", "surrogateescape")).encode()
    try:
        document = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInput(_sentence(raw, str(error))) from error
    check_depth(document, "JSON")
    return document


def convert(document: Any, type: type[T]) -> T:
    """Return a parsed value as a `type`. Raise InvalidInput, which names the field."""
    try:
        return msgspec.convert(shaped(document, type), type)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"invalid JSON: {error}") from error


def shaped(document: Any, type: Any) -> Any:
    """Return a parsed value in the form that msgspec converts into `type`: names as the type has them, and no nulls."""
    return _shape_of(type)(document)


def _sentence(raw: bytes, problem: str) -> str:
    place = _MALFORMED.fullmatch(problem)
    if place is None:
        return "invalid JSON: unexpected EOF" if "truncated" in problem else f"invalid JSON: {problem}"
    if place["problem"] == "trailing characters":
        return "unexpected content after JSON"
    position = int(place["position"])
    if position >= len(raw):
        return "invalid JSON: unexpected EOF"
    where = _GO_PROBLEMS.get(place["problem"], "looking for beginning of value")
    return f"invalid JSON: invalid character {chr(raw[position])!r} {where}"


@cache
def _shape_of(type: Any) -> _Shape:
    return _shape(inspect.type_info(type))


def _shape(kind: inspect.Type) -> _Shape:
    """Return the function that brings a value into the form that msgspec converts into `kind`."""
    match kind:
        case inspect.StructType(cls=cls):
            return lambda value: _struct(value, cls)
        case inspect.DictType(value_type=member):
            return _map_of(_shape(member), _empty(member))
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            return _list_of(_shape(item), _empty(item))
        case inspect.UnionType(types=types):
            some = [option for option in types if not isinstance(option, inspect.NoneType)]
            return _shape(some[0]) if len(some) == 1 else _same
    return _same


def _same(value: Any) -> Any:
    return value


def _map_of(shape: _Shape, empty: Any) -> _Shape:
    def shaped(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: empty if member is None else shape(member) for name, member in value.items()}

    return shaped


def _list_of(shape: _Shape, empty: Any) -> _Shape:
    def shaped(value: Any) -> Any:
        return [empty if item is None else shape(item) for item in value] if isinstance(value, list) else value

    return shaped


def _struct(value: Any, cls: type) -> Any:
    if not isinstance(value, dict):
        return value
    shapes = _members(cls)
    names = {name.lower(): name for name in shapes}
    members: dict[str, Any] = {}
    for key, member in value.items():
        name = names.get(key.lower())
        if name is not None and member is not None and (key == name or name not in value):
            members[name] = shapes[name](member)
    return members


@cache
def _members(cls: type) -> dict[str, _Shape]:
    """Return the members of a struct by the names that JSON has for them."""
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    return {field.encode_name: _shape(field.type) for field in info.fields}


def _empty(kind: inspect.Type) -> Any:
    """Return the JSON of a type's empty value; None where None itself is one of the type."""
    match kind:
        case inspect.StructType() | inspect.DictType():
            return {}
        case inspect.ListType() | inspect.VarTupleType():
            return []
        case inspect.StrType():
            return ""
        case inspect.BoolType():
            return False
        case inspect.IntType() | inspect.FloatType():
            return 0
    return None
