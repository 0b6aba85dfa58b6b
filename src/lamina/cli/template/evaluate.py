"""Render nodes with a value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from lamina.cli.template import syntax as tree
from lamina.cli.template.functions import FUNCTIONS, Fields, format_value, header_functions, truth
from lamina.cli.template.parser import parse
from lamina.cli.template.syntax import Node
from lamina.errors import InvalidInput

NOTHING = object()  # the command is first in its pipeline


class _Jumping(Exception):
    """`break` or `continue`, raised to the range around it."""

    def __init__(self, keyword: str) -> None:
        super().__init__(keyword)
        self.keyword = keyword


class Evaluator:
    """Renders nodes. For a key that a map lacks, `missing` returns a value or raises KeyError."""

    def __init__(
        self, functions: Mapping[str, Callable[..., object]], missing: Callable[[str], object], root: object
    ) -> None:
        self._functions = functions
        self._missing = missing
        self._scopes: list[dict[str, object]] = [{"$": root}]
        self._out: list[str] = []

    def render(self, nodes: Sequence[tree.Node], dot: object) -> str:
        """Return the text of `nodes`. Raise InvalidInput for a wrong type, name or call."""
        try:
            self._run(nodes, dot)
        except _Jumping as jump:
            raise InvalidInput(f"template: {jump.keyword} outside of a range") from None
        return "".join(self._out)

    def _run(self, nodes: Sequence[tree.Node], dot: object) -> None:
        for node in nodes:
            if isinstance(node, tree.Raw):
                self._out.append(node.text)
            elif isinstance(node, tree.Print):
                value = self._pipeline(node.pipeline, dot)
                if not node.pipeline.names:
                    self._out.append(format_value(value))
            elif isinstance(node, tree.Jump):
                raise _Jumping(node.keyword)
            else:
                self._scoped(node, dot)

    def _scoped(self, block: tree.Block, dot: object) -> None:
        self._scopes.append({})
        try:
            if block.keyword == "range":
                self._range(block, dot)
            else:
                value = self._pipeline(block.pipeline, dot)
                inner = value if block.keyword == "with" else dot
                self._run(block.body, inner) if truth(value) else self._run(block.otherwise, dot)
        finally:
            self._scopes.pop()

    def _range(self, block: tree.Block, dot: object) -> None:
        bare = block.pipeline._replace(names=())
        items = list(_items(self._pipeline(bare, dot)))
        if not items:
            self._run(block.otherwise, dot)
        names = block.pipeline.names
        for key, value in items:
            if len(names) == 1:
                self._scopes[-1][names[0]] = value
            elif names:
                self._scopes[-1].update(zip(names, (key, value), strict=False))
            try:
                self._run(block.body, value)
            except _Jumping as jump:
                if jump.keyword == "break":
                    break

    def _pipeline(self, pipeline: tree.Pipeline, dot: object) -> object:
        value: object = NOTHING
        for command in pipeline.commands:
            value = self._command(command, dot, value)
        for name in pipeline.names:
            scope = (
                next((s for s in reversed(self._scopes) if name in s), None) if pipeline.assigns else self._scopes[-1]
            )
            if scope is None:
                raise InvalidInput(f"template: undefined variable {name!r}")
            scope[name] = value
        return value

    def _command(self, command: tree.Command, dot: object, piped: object) -> object:
        first, rest = command.operands[0], command.operands[1:]
        if isinstance(first, tree.Function):
            return self._call(first.name, rest, dot, piped)
        arguments = [self._operand(operand, dot) for operand in rest] + ([] if piped is NOTHING else [piped])
        if isinstance(first, tree.Chain):
            return self._chain(first, dot, arguments)
        if arguments:
            raise InvalidInput("template: can't give an argument to something that is no function")
        return self._operand(first, dot)

    def _call(self, name: str, operands: Sequence[tree.Operand], dot: object, piped: object) -> object:
        if name in ("and", "or"):
            return self._short_circuit(name == "or", operands, dot, piped)
        function = self._functions.get(name)
        if function is None:
            raise InvalidInput(f"template: function {name!r} not defined")
        arguments = [self._operand(operand, dot) for operand in operands] + ([] if piped is NOTHING else [piped])
        try:
            return function(*arguments)
        except (TypeError, AttributeError) as error:
            raise InvalidInput(f"template: wrong arguments for {name}") from error

    def _short_circuit(self, deciding: bool, operands: Sequence[tree.Operand], dot: object, piped: object) -> object:
        value: object = None
        for operand in operands:
            value = self._operand(operand, dot)
            if truth(value) is deciding:
                return value
        return value if piped is NOTHING else piped

    def _operand(self, operand: tree.Operand, dot: object) -> object:
        if isinstance(operand, tree.Literal):
            return operand.value
        if isinstance(operand, tree.Dot):
            return dot
        if isinstance(operand, tree.Variable):
            return self._variable(operand.name)
        if isinstance(operand, tree.Pipeline):
            return self._pipeline(operand, dot)
        if isinstance(operand, tree.Function):
            return self._call(operand.name, (), dot, NOTHING)
        return self._chain(operand, dot, ())

    def _variable(self, name: str) -> object:
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        raise InvalidInput(f"template: undefined variable {name!r}")

    def _chain(self, chain: tree.Chain, dot: object, arguments: Sequence[object]) -> object:
        value = self._operand(chain.base, dot)
        for position, name in enumerate(chain.fields):
            last = position == len(chain.fields) - 1
            value = self._field(value, name, arguments if last else ())
        return value

    def _field(self, value: object, name: str, arguments: Sequence[object]) -> object:
        if isinstance(value, Fields):
            try:
                return value.field(name, arguments)
            except KeyError:
                raise InvalidInput(f"template: can't evaluate field {name}") from None
        if value is None:
            raise InvalidInput(f"template: nil data; no entry for key {name!r}")
        if not isinstance(value, Mapping):
            raise InvalidInput(f"template: can't evaluate field {name} in {format_value(value)[:40]!r}")
        item = value.get(name, NOTHING)
        if item is NOTHING:
            folded = [item for key, item in value.items() if str(key).lower() == name.lower()]
            item = folded[0] if len(folded) == 1 else self._absent(name)
        return item

    def _absent(self, name: str) -> object:
        try:
            return self._missing(name)
        except KeyError:
            raise InvalidInput(f"template: map has no entry for key {name!r}") from None


def _items(value: object) -> Iterator[tuple[object, object]]:
    """Yield what a range walks over: lists by index, maps in the order of their keys, numbers by counting."""
    if isinstance(value, Mapping):
        yield from ((key, value[key]) for key in sorted(value))
    elif isinstance(value, list | tuple):
        yield from enumerate(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield from ((number, number) for number in range(value))
    elif value is not None:
        raise InvalidInput(f"template: range can't iterate over {format_value(value)[:40]}")


def strict(name: str) -> object:
    """Raise KeyError: a missing key is an error."""
    raise KeyError(name)


def lenient(name: str) -> object:
    """Return nil for a missing key."""
    return None


class Template(NamedTuple):
    """A parsed template, which can be rendered any number of times."""

    nodes: tuple[Node, ...]

    @staticmethod
    def parse(text: str) -> Template:
        """Parse a template. Raise InvalidInput."""
        return Template(parse(text))

    def render(self, value: object, missing: Callable[[str], object] = strict) -> str:
        """Return the text for one value. Raise InvalidInput for a missing field, unless `missing` supplies it."""
        return Evaluator(FUNCTIONS, missing, value).render(self.nodes, value)

    def render_header(self, headers: object) -> str:
        """Return the header line of a table. `headers` has the columns' titles in place of their values."""
        return Evaluator(header_functions(), lenient, headers).render(self.nodes, headers)
