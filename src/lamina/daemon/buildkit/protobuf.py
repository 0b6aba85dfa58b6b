"""Protocol buffers: typed structs to bytes and back.

A message is a struct whose fields carry their numbers: `path: Annotated[str, 1] = ""`. Rule: the encoding of proto3
(protobuf.dev, "Encoding"). Integers are 64 bits with a sign, as int64 and int32 are on the wire. Text that is no UTF-8
keeps its bytes by surrogateescape, because file names need not be UTF-8. Unknown fields are ignored.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from functools import cache
from typing import Annotated, Any, Self, TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec

from lamina.errors import InvalidInput

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MOST_VALUES = 200_000  # values in one message: an empty one takes two bytes on the wire and a hundred in memory
_DEEPEST = 64  # messages in messages
_MOST_IN_BYTE = 0x7F  # of a number's value
_MASK = (1 << 64) - 1
_SIGN = 1 << 63


class Message(msgspec.Struct, frozen=True):
    """A message. A field with its default value takes no bytes."""

    def encode(self) -> bytes:
        """Return the message in protobuf's encoding."""
        out = bytearray()
        for field in _plan(type(self)):
            value = getattr(self, field.name)
            if value or (field.is_message and value is not None):
                field.write(out, value)
        return bytes(out)

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read a message. Raise InvalidInput for malformed bytes, or too many values."""
        return _Reader().message(cls, raw, 0)


M = TypeVar("M", bound=Message)
Value: TypeAlias = Any  # what a field holds; the field's own type says which


class _Field:
    """One field: how it is written, and how one value of it is read."""

    def __init__(self, number: int, name: str, hint: Value) -> None:
        self.number = number
        self.name = name
        origin: object = get_origin(hint)
        self.repeated = origin is tuple
        self.mapping = origin is dict
        if self.mapping:
            self.type: Value = _entry(*get_args(hint))
        else:
            self.type = get_args(hint)[0] if self.repeated else _without_none(hint)
        self.is_message = isinstance(self.type, type) and issubclass(self.type, Message)
        self.is_number = not self.is_message and issubclass(self.type, int)

    def write(self, out: bytearray, value: Value) -> None:
        if self.mapping:
            for key in sorted(value):
                self._write_one(out, self.type(key, value[key]))
        elif self.repeated:
            for one in value:
                self._write_one(out, one)
        else:
            self._write_one(out, value)

    def _write_one(self, out: bytearray, value: Value) -> None:
        if self.is_number:
            _write_varint(out, self.number << 3 | _VARINT)
            _write_varint(out, int(value) & _MASK)
            return
        if self.is_message:
            raw = value.encode()
        else:
            raw = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
        _write_varint(out, self.number << 3 | _BYTES)
        _write_varint(out, len(raw))
        out += raw


def _entry(key: type, value: type) -> type[Message]:
    """Return the message that holds one pair of a map."""
    name = f"Entry_{key.__name__}_{value.__name__}"
    fields = [("key", Annotated[key, 1], key()), ("value", Annotated[value, 2], value())]
    return cast(type[Message], msgspec.defstruct(name, fields, bases=(Message,), frozen=True))


def _without_none(hint: Value) -> Value:
    origin: object = get_origin(hint)
    if origin is types.UnionType or origin is Union:
        return next(part for part in get_args(hint) if part is not type(None))
    return hint


@cache
def _plan(kind: type[Message]) -> tuple[_Field, ...]:
    """Return the fields of a message in the order of their numbers."""
    fields = []
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if get_origin(hint) is Annotated:
            inner, number = get_args(hint)
            fields.append(_Field(number, name, inner))
    return tuple(sorted(fields, key=lambda field: field.number))


@cache
def _by_number(kind: type[Message]) -> dict[int, _Field]:
    return {field.number: field for field in _plan(kind)}


class _Reader:
    """Read one message, and count what it holds."""

    def __init__(self) -> None:
        self._values = 0

    def message(self, kind: type[M], raw: bytes, depth: int) -> M:
        if depth > _DEEPEST:
            raise InvalidInput(f"a message is nested deeper than {_DEEPEST} levels")
        fields, values = _by_number(kind), dict[str, Value]()
        for number, wire, part in _parts(raw):
            self._values += 1
            if self._values > _MOST_VALUES:
                raise InvalidInput(f"a message holds more than {_MOST_VALUES} values")
            field = fields.get(number)
            if field is None:
                continue
            if field.is_number:
                self._number(field, wire, part, values)
            elif wire == _BYTES:
                self._bytes(field, part, depth, values)
            else:
                raise InvalidInput(f"field {field.name} of a {kind.__name__} has the wrong wire type")
        for name, value in values.items():
            if isinstance(value, list):
                values[name] = tuple(value)
        return kind(**values)

    def _number(self, field: _Field, wire: int, part: Value, values: dict[str, Value]) -> None:
        convert: Callable[[int], int] = bool if field.type is bool else _signed
        if field.repeated:
            numbers = list(_packed(part)) if wire == _BYTES else [part]
            self._values += len(numbers)
            values.setdefault(field.name, []).extend(map(convert, numbers))
        elif wire == _BYTES:
            raise InvalidInput(f"field {field.name} holds bytes instead of a number")
        else:
            values[field.name] = convert(part)

    def _bytes(self, field: _Field, part: bytes, depth: int, values: dict[str, Value]) -> None:
        value: Value = part
        if field.is_message:
            value = self.message(field.type, part, depth + 1)
        elif field.type is str:
            value = part.decode("utf-8", "surrogateescape")
        if field.mapping:
            values.setdefault(field.name, {})[value.key] = value.value
        elif field.repeated:
            values.setdefault(field.name, []).append(value)
        else:
            values[field.name] = value


def _parts(raw: bytes) -> Iterator[tuple[int, int, Value]]:
    """Yield number, wire type and value of each field: a number, or bytes."""
    position, end = 0, len(raw)
    while position < end:
        tag, position = raw[position], position + 1  # nearly all numbers take one byte
        if tag > _MOST_IN_BYTE:
            tag, position = _read_varint(raw, position - 1)
        number, wire = tag >> 3, tag & 7
        value: int | bytes
        if wire == _VARINT:
            value, position = _read_varint(raw, position)
        elif wire == _BYTES:
            size, position = _read_varint(raw, position)
            value, position = raw[position : position + size], position + size
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
            value, position = int.from_bytes(raw[position : position + size], "little"), position + size
        else:
            raise InvalidInput(f"a message has the unknown wire type {wire}")
        if position > end or not number:
            raise InvalidInput("a message ends in the middle of a field" if number else "a field has the number 0")
        yield number, wire, value


def _packed(raw: bytes) -> Iterator[int]:
    position = 0
    while position < len(raw):
        value, position = _read_varint(raw, position)
        yield value


def _read_varint(raw: bytes, position: int) -> tuple[int, int]:
    if position < len(raw) and raw[position] <= _MOST_IN_BYTE:
        return raw[position], position + 1
    value = shift = 0
    while True:
        if position >= len(raw) or shift > 63:
            raise InvalidInput("a message holds a number without an end")
        byte = raw[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _MASK, position
        shift += 7


def _write_varint(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def _signed(value: int) -> int:
    return value - (1 << 64) if value & _SIGN else value
