"""The text of a template as tokens, and the nodes that they are parsed to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from lamina.errors import InvalidInput

ACTION = re.compile(
    r"""\{\{(?P<before>-(?=\s))?\s*(?:/\*.*?\*/|(?P<body>(?:"(?:\\.|[^"\\])*"|`[^`]*`|'(?:\\.|[^'\\])*'|(?!\}\}).)*?))"""
    r"""\s*(?P<after>(?<=\s)-)?\}\}""",
    re.DOTALL,
)
TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>"(?:\\.|[^"\\])*"|`[^`]*`)
    | (?P<char>'(?:\\.|[^'\\])+')
    | (?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.]))
    | (?P<variable>\$\w*)
    | (?P<field>\.[^\W\d]\w*)
    | (?P<dot>\.)
    | (?P<word>[^\W\d]\w*)
    | (?P<mark>:=|[|(),=])
    )""",
    re.VERBOSE,
)


class Token(NamedTuple):
    """`kind` is a group of TOKEN; `spaced` means that white space precedes it, which ends a field chain."""

    kind: str
    text: str
    spaced: bool


class Text(NamedTuple):
    """Literal text between actions."""

    text: str


class Action(NamedTuple):
    """The text between {{ and }}, and its tokens."""

    source: str
    tokens: tuple[Token, ...]


def split(template: str) -> Iterator[Text | Action]:
    """Yield literal text and actions in order. `{{-` and `-}}` trim the white space beside them.

    Raise InvalidInput for an unclosed action or an unknown token.
    """
    position, trim = 0, False
    while (start := template.find("{{", position)) >= 0:
        match = ACTION.match(template, start)
        if match is None:
            raise InvalidInput(f"template: unclosed action at character {start + 1}", advice="Close it with }}")
        text = template[position:start]
        yield Text(_trimmed(text, trim, bool(match["before"])))
        if match["body"] is not None:
            yield Action(match["body"], tuple(_tokens(match["body"])))
        position, trim = match.end(), bool(match["after"])
    yield Text(_trimmed(template[position:], trim, False))


def _trimmed(text: str, left: bool, right: bool) -> str:
    text = text.lstrip(" \t\r\n") if left else text
    return text.rstrip(" \t\r\n") if right else text


def _tokens(source: str) -> Iterator[Token]:
    position = 0
    end = len(source.rstrip())
    while position < end:
        match = TOKEN.match(source, position)
        if match is None or match.lastgroup is None:
            raise InvalidInput(f"template: unexpected {source[position:].strip()[:10]!r} in {{{{{source}}}}}")
        text = match[match.lastgroup]
        yield Token(match.lastgroup, text, match.end() - len(text) > position or position == 0)
        position = match.end()


class Literal(NamedTuple):
    """A string, number, boolean or nil."""

    value: object


class Dot(NamedTuple):
    """`.`, the present value."""


class Variable(NamedTuple):
    """`$x`, or `$` for the value the template was given."""

    name: str


class Function(NamedTuple):
    """A name in the place of a function; its arguments are in the Command."""

    name: str


class Chain(NamedTuple):
    """`.A.B`, `$x.A`, `(…).A`: fields of a value, from left to right."""

    base: Operand
    fields: tuple[str, ...]


class Command(NamedTuple):
    """Operands. If the first is a function or field, the others are its arguments."""

    operands: tuple[Operand, ...]


class Pipeline(NamedTuple):
    """Commands whose results flow right; `names` get the last one. `assigns` tells `=` from `:=`."""

    commands: tuple[Command, ...]
    names: tuple[str, ...] = ()
    assigns: bool = False


class Print(NamedTuple):
    """`{{pipeline}}`."""

    pipeline: Pipeline


class Block(NamedTuple):
    """`if`, `with` or `range`, with its body and the body of its `else`."""

    keyword: str
    pipeline: Pipeline
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


class Jump(NamedTuple):
    """`break` or `continue`."""

    keyword: str


class Raw(NamedTuple):
    """Text that is written as it is."""

    text: str


Operand = Literal | Dot | Variable | Function | Chain | Pipeline
Node = Print | Block | Jump | Raw
