"""What a template parses to. Nodes are values; `evaluate` gives them meaning."""

from __future__ import annotations

from typing import NamedTuple


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
    """Operands of which the first may be called with the others."""

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
    """`if`, `with` or `range`, with what follows and what `else` holds."""

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
