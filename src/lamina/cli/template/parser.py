"""Pieces of a template into nodes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from lamina.cli.template import syntax as tree
from lamina.cli.template.syntax import Action, Text, Token, split
from lamina.errors import InvalidInput

OPENING = ("if", "with", "range")
UNSUPPORTED = ("define", "template", "block")
BAD_ESCAPE = re.compile(r"""(?<!\\)(?:\\\\)*\\[^abfnrtv\\'"xuU0-7]""")  # what Go's strings do not have
CONSTANTS: dict[str, object] = {"true": True, "false": False, "nil": None}


def parse(template: str) -> tuple[tree.Node, ...]:
    """Return the nodes of a template. Raise InvalidInput, naming the wrong action."""
    pieces = split(template)
    nodes, closing = _list(pieces)
    if closing is not None:
        raise InvalidInput(f"template: unexpected {{{{{closing.source}}}}}")
    return nodes


def _list(pieces: Iterator[Text | Action]) -> tuple[tuple[tree.Node, ...], Action | None]:
    """Return the nodes before the `else` or `end` that closes the list, and that action."""
    nodes: list[tree.Node] = []
    for piece in pieces:
        if isinstance(piece, Text):
            if piece.text:
                nodes.append(tree.Raw(piece.text))
            continue
        keyword = piece.tokens[0].text if piece.tokens and piece.tokens[0].kind == "word" else ""
        if keyword in ("else", "end"):
            return tuple(nodes), piece
        if keyword in UNSUPPORTED:
            raise InvalidInput(f"template: {keyword!r} is not supported in a format")
        nodes.append(_node(keyword, piece, pieces))
    return tuple(nodes), None


def _node(keyword: str, action: Action, pieces: Iterator[Text | Action]) -> tree.Node:
    if keyword in OPENING:
        return _block(keyword, action.tokens[1:], action, pieces)
    if keyword in ("break", "continue"):
        return tree.Jump(keyword)
    return tree.Print(_Reader(action.tokens, action.source).whole())


def _block(keyword: str, tokens: Iterable[Token], action: Action, pieces: Iterator[Text | Action]) -> tree.Block:
    pipeline = _Reader(tuple(tokens), action.source).whole()
    body, closing = _list(pieces)
    otherwise: tuple[tree.Node, ...] = ()
    if closing is not None and closing.tokens[0].text == "else":
        following = closing.tokens[1:]
        if following:  # {{else if …}} is a block of its own that shares our end
            return tree.Block(keyword, pipeline, body, (_block(following[0].text, following[1:], closing, pieces),))
        otherwise, closing = _list(pieces)
    if closing is None or closing.tokens[0].text != "end":
        raise InvalidInput(f"template: {{{{{action.source}}}}} has no {{{{end}}}}")
    return tree.Block(keyword, pipeline, body, otherwise)


class _Reader:
    """Reads one pipeline from the tokens of an action."""

    def __init__(self, tokens: tuple[Token, ...], source: str) -> None:
        self._tokens = tokens
        self._source = source
        self._at = 0
        self._fresh = False  # whether the operand begins with a field, as `.A` does

    def whole(self) -> tree.Pipeline:
        pipeline = self._pipeline()
        if self._peek() is not None:
            raise self._wrong()
        return pipeline

    def _peek(self, ahead: int = 0) -> Token | None:
        position = self._at + ahead
        return self._tokens[position] if position < len(self._tokens) else None

    def _wrong(self) -> InvalidInput:
        token = self._peek()
        what = f"unexpected {token.text!r}" if token else "missing value"
        return InvalidInput(f"template: {what} in {{{{{self._source}}}}}")

    def _marked(self, *marks: str) -> bool:
        token = self._peek()
        if token is not None and token.kind == "mark" and token.text in marks:
            self._at += 1
            return True
        return False

    def _pipeline(self) -> tree.Pipeline:
        names, assigns = self._declaration()
        commands = [self._command()]
        while self._marked("|"):
            commands.append(self._command())
        return tree.Pipeline(tuple(commands), names, assigns)

    def _declaration(self) -> tuple[tuple[str, ...], bool]:
        start, names = self._at, []
        while (token := self._peek()) is not None and token.kind == "variable":
            names.append(token.text)
            self._at += 1
            if self._marked(":=", "="):
                return tuple(names), self._tokens[self._at - 1].text == "="
            if not self._marked(","):
                break
        self._at = start
        return (), False

    def _command(self) -> tree.Command:
        operands: list[tree.Operand] = []
        while (token := self._peek()) is not None and not (token.kind == "mark" and token.text in "|)"):
            operands.append(self._operand(token))
        if not operands:
            raise self._wrong()
        return tree.Command(tuple(operands))

    def _operand(self, token: Token) -> tree.Operand:
        base = self._base(token)
        fields: list[str] = []
        while (token_ := self._peek()) is not None and token_.kind == "field" and (not token_.spaced or self._fresh):
            fields.append(token_.text[1:])
            self._at += 1
            self._fresh = False
        return tree.Chain(base, tuple(fields)) if fields else base

    def _base(self, token: Token) -> tree.Operand:
        self._fresh = token.kind == "field"
        if self._fresh:
            return tree.Dot()  # the fields that follow are its
        if self._marked("("):
            inner = self._pipeline()
            if not self._marked(")"):
                raise InvalidInput(f"template: unclosed parenthesis in {{{{{self._source}}}}}")
            return inner
        if token.kind == "mark":
            raise self._wrong()
        self._at += 1
        return _simple(token)


def _simple(token: Token) -> tree.Operand:
    if token.kind == "dot":
        return tree.Dot()
    if token.kind == "variable":
        return tree.Variable(token.text)
    if token.kind == "word":
        return tree.Literal(CONSTANTS[token.text]) if token.text in CONSTANTS else tree.Function(token.text)
    return tree.Literal(_literal(token))


def _literal(token: Token) -> object:
    if token.kind == "number":
        text = token.text
        return int(text, 0) if text.lstrip("+-").isdecimal() or "x" in text.lower() else float(text)
    if token.text.startswith("`"):
        return token.text[1:-1]
    try:
        value = None if BAD_ESCAPE.search(token.text) else ast.literal_eval(token.text)
    except (SyntaxError, ValueError):
        value = None
    if value is None:
        raise InvalidInput(f"template: bad string {token.text}")
    return ord(value) if token.kind == "char" else value
