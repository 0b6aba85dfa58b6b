"""Whole paths against the patterns of ignore files, in bounded time.

Patterns and paths come from strangers. A backtracking matcher may take time exponential in the number of wildcards, so
patterns with many are matched by keeping the set of all states that a path can lead to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from lamina.dockerfile.position import Problem

Predicate = Callable[[str], bool]

_SIMPLE = 2  # wildcards up to which backtracking costs at most the square of a path's length
LONGEST = 4096  # characters: no path is longer (PATH_MAX)

# A piece of a pattern: its kind, and what it takes.
_Piece = tuple[str, str]
_CHAR, _ANY, _CLASS, _STAR, _FOLDERS, _REST = "char", "any", "class", "star", "folders", "rest"
_WILD = {_STAR: "[^/]*", _FOLDERS: "(?:.*/)?", _REST: ".*", _ANY: "[^/]"}


def compile_path(text: str) -> Predicate:
    """Return a predicate for paths that match the cleaned pattern `text`: `*`, `?`, `[…]`, `**` and backslashes.

    Raise Problem for a range whose end comes before its start, which Go's regexp refuses as well, and for a pattern
    longer than any path.
    """
    if len(text) > LONGEST:
        raise Problem(f"a pattern is longer than {LONGEST} characters", "No path is so long.")
    pieces = tuple(_pieces(text))
    try:
        if sum(kind in (_STAR, _FOLDERS, _REST) for kind, _ in pieces) > _SIMPLE:
            return _States(pieces).match
        whole = "".join(_WILD.get(kind) or (re.escape(what) if kind == _CHAR else what) for kind, what in pieces)
        expression = re.compile(whole + r"\Z", re.DOTALL)
    except re.error:
        raise Problem(f"syntax error in pattern {text!r}", "Write the range in order, as in [a-z].") from None
    return lambda path: expression.match(path) is not None


def _pieces(text: str) -> Iterator[_Piece]:
    at = 0
    while at < len(text):
        char = text[at]
        if text.startswith("**", at):
            at += 3 if text.startswith("**/", at) else 2
            yield (_REST if at >= len(text) else _FOLDERS), ""
            continue
        at += 1
        if char == "*":
            yield _STAR, ""
        elif char == "?":
            yield _ANY, ""
        elif char == "\\" and at < len(text):
            yield _CHAR, text[at]
            at += 1
        elif char == "[":
            end = _class_end(text, at)
            yield _CLASS, _class(text[at:end])
            at = end + 1
        else:
            yield _CHAR, char


def _class_end(text: str, at: int) -> int:
    at += text.startswith("^", at)
    first = True
    while first or text[at] != "]":
        first = False
        at += 2 if text[at] == "\\" else 1
    return at


def _class(body: str) -> str:
    """Return the inside of a bracket expression for `re`, with everything escaped that is special to `re` alone."""
    negated = body.startswith("^")
    inner = body[1:] if negated else body
    inner = inner.replace("[", "\\[")
    inner = re.sub(r"([&~|])", r"\\\1", inner)
    return f"[{'^' if negated else ''}{inner}]"


class _States:
    """A pattern as an automaton, its states the bits of a number: bit `2 * n` stands before piece n, bit `2 * n + 1`
    in the middle of a folder that the `**` of piece n takes."""

    def __init__(self, pieces: Sequence[_Piece]) -> None:
        self._pieces = pieces
        self._classes = {what: re.compile(what, re.DOTALL) for kind, what in pieces if kind == _CLASS}
        self._skipped = self._before(_STAR, _FOLDERS, _REST)
        self._entered = self._before(_FOLDERS)
        self._star, self._rest, self._inside = self._before(_STAR), self._before(_REST), self._entered << 1
        self._taking: dict[str, int] = {}

    def _before(self, *kinds: str) -> int:
        return sum(1 << 2 * number for number, (kind, _) in enumerate(self._pieces) if kind in kinds)

    def match(self, path: str) -> bool:
        states = self._reached(1)
        for char in path:
            after = (states & self._takers(char)) << 2 | states & (self._rest | self._inside)
            after |= (states & self._inside) << 1 if char == "/" else states & self._star
            states = self._reached(after)
            if not states:
                return False
        return bool(states >> 2 * len(self._pieces))

    def _reached(self, states: int) -> int:
        """Return these states, and those that are reached when wildcards match nothing."""
        while True:
            more = states | (states & self._skipped) << 2 | (states & self._entered) << 1
            if more == states:
                return states
            states = more

    def _takers(self, char: str) -> int:
        """Return the states before a piece that ends with `char`."""
        if char not in self._taking:
            takes = (self._takes(kind, what, char) for kind, what in self._pieces)
            self._taking[char] = sum(1 << 2 * number for number, taken in enumerate(takes) if taken)
        return self._taking[char]

    def _takes(self, kind: str, what: str, char: str) -> bool:
        if kind == _CLASS:
            return self._classes[what].match(char) is not None
        return char == what if kind == _CHAR else kind == _ANY and char != "/"
