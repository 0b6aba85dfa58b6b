"""Where something stands in a Dockerfile, and errors that show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lamina.errors import InvalidInput

EXCERPT_LINES = 12  # a longer instruction is cut, so that an error stays readable


@dataclass(frozen=True, slots=True, order=True)
class Lines:
    """A range of lines, counted from 1, both ends included."""

    first: int
    last: int

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


def excerpt(text: Sequence[str], lines: Lines) -> str:
    """Return the lines of `text` in the range, numbered, at most `EXCERPT_LINES` of them."""
    numbers = range(lines.first, min(lines.last, lines.first + EXCERPT_LINES - 1) + 1)
    rows = [f"{number:4} | {text[number - 1]}" for number in numbers if 0 < number <= len(text)]
    if lines.last > numbers[-1]:
        rows.append("     | …")
    return "\n".join(rows)


class Problem(Exception):
    """A broken rule of the language. The caller that knows the line turns it into InvalidInput with the same facts."""

    def __init__(self, message: str, advice: str | None = None, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.facts = facts


def located(problem: Problem, text: Sequence[str], lines: Lines) -> InvalidInput:
    """Return the error for users, which names the line, shows it, and says the likely fix."""
    lines_shown = excerpt(text, lines)
    advice = f"{problem.advice or 'It reads:'}\n{lines_shown}" if lines_shown else problem.advice
    return InvalidInput(
        f"dockerfile parse error on line {lines.first}: {problem.message}",
        advice=advice,
        line=lines.first,
        last_line=lines.last,
        excerpt=lines_shown,
        reason=problem.message,
        fix=problem.advice,
        **problem.facts,
    )
