"""Here-documents: `<<NAME`, `<<-NAME`, `<<"NAME"`, with an optional file descriptor number before them.

Rule: Dockerfile reference, "Here-Documents", after POSIX shell 2.7.4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lamina.dockerfile.expand import Lexer
from lamina.dockerfile.position import Problem

_MARK = re.compile(r"(\d{0,9})<<(-?)\s*+([^<]*+)\Z", re.ASCII)
_LEADING_TABS = re.compile(r"^\t+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Heredoc:
    """One here-document. `content` is the raw body with its line ends, before tabs are stripped or names expanded."""

    name: str
    content: str = ""
    expand: bool = True  # False when the delimiter was quoted
    strip_tabs: bool = False  # True for <<-
    descriptor: int = 0

    @property
    def text(self) -> str:
        """The body, with leading tabs gone where `<<-` asked for it."""
        return _LEADING_TABS.sub("", self.content) if self.strip_tabs else self.content


def parse_mark(word: str) -> Heredoc | None:
    """The here-document that `word` opens (without a body yet), or None when it opens none."""
    match = _MARK.match(word)
    if match is None or not match[3]:
        return None
    plain = Lexer(skip_unset=True).words(match[3], {})
    if len(plain) != 1:
        return None
    raw = Lexer(skip_unset=True, raw_quotes=True).words(match[3], {})
    quoted = _quotes(raw[0]) != _quotes(plain[0])
    return Heredoc(plain[0], "", not quoted, match[2] == "-", int(match[1] or 0))


def _quotes(word: str) -> int:
    return word.count("'") + word.count('"')


def find_marks(line: str) -> tuple[Heredoc, ...]:
    """All here-documents that an instruction's line opens, in order. A line that cannot be split opens none."""
    try:
        words: Iterable[str] = Lexer(raw_quotes=True, raw_escapes=True, skip_unset=True).words(line, {})
    except Problem:
        return ()
    return tuple(mark for word in words if (mark := parse_mark(word)) is not None)
