"""Text to syntax nodes: logical lines with their ranges, comments, here-documents. Knows no instruction's meaning.

Rule: Dockerfile reference, "Format", "Parser directives" and "Here-Documents", as the reference parser of BuildKit
reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from lamina.dockerfile.directives import Directive, DirectiveReader, escape_character
from lamina.dockerfile.expand import Lexer
from lamina.dockerfile.position import Lines, Problem, located
from lamina.dockerfile.split import SPACES, json_array, split_command
from lamina.errors import InvalidInput, TooLarge

MAX_SIZE = 16 << 20  # bytes; no honest Dockerfile comes near


@dataclass(frozen=True, slots=True)
class Node:
    """One instruction as written. `original` is the logical line: continuations joined, heredoc bodies left out."""

    keyword: str
    flags: tuple[str, ...]
    rest: str
    original: str
    lines: Lines
    heredocs: tuple[Heredoc, ...] = ()
    comments: tuple[str, ...] = ()  # the comment lines right before it, without the #


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning about something that works today and should be mended."""

    message: str
    lines: Lines


@dataclass(frozen=True, slots=True)
class Syntax:
    """A whole file: nodes in order, the escape character, directives, warnings, and the text line by line."""

    nodes: tuple[Node, ...]
    escape: str
    directives: tuple[Directive, ...]
    warnings: tuple[Warned, ...]
    text: tuple[str, ...]


def decode(raw: bytes) -> str:
    """Return a Dockerfile's bytes as text: UTF-8 without its mark; other bytes survive as surrogates.

    Raise TooLarge above `MAX_SIZE`, InvalidInput for UTF-16 (an editor's accident that would only confuse later).
    """
    if len(raw) > MAX_SIZE:
        raise TooLarge(f"the Dockerfile has {len(raw)} bytes, more than {MAX_SIZE}", size=len(raw), limit=MAX_SIZE)
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InvalidInput("the Dockerfile is UTF-16", advice="Save it as UTF-8.", line=1)
    return raw.decode("utf-8", "surrogateescape").removeprefix("\ufeff")


def parse_syntax(text: str) -> Syntax:
    """Split a file into nodes. Raise InvalidInput naming the line for a broken directive, an unterminated heredoc,
    or a file without instructions."""
    lines = text.removeprefix("\ufeff").split("\n")
    return _Parser(lines[:-1] if lines[-1] == "" else lines).run()


@dataclass(slots=True)
class _Parser:
    text: Sequence[str]
    at: int = 0  # how many lines were read
    escape: str = "\\"
    directives: DirectiveReader = field(default_factory=DirectiveReader)
    comments: list[str] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)

    def run(self) -> Syntax:
        while self.at < len(self.text):
            first = self.at + 1
            try:
                self._logical_line(first)
            except Problem as problem:
                raise located(problem, self._shown(), Lines(first, max(first, self.at))) from None
        if not self.nodes:
            raise InvalidInput("file with no instructions", advice="Begin it with FROM.", line=1)
        found = tuple(self.directives.found)
        return Syntax(tuple(self.nodes), self.escape, found, tuple(self.warnings), self._shown())

    def _shown(self) -> tuple[str, ...]:
        return tuple(line.rstrip("\r") for line in self.text)

    def _logical_line(self, first: int) -> None:
        line = self._next().lstrip(SPACES)
        self._directive(line)
        if line.startswith("#"):
            self._comment(line[1:].strip(SPACES))
            return
        part, continued = self._without_continuation(line)
        if not part and not continued:
            return
        joined = self._joined(part, continued)
        command = split_command(joined, self.escape)
        if not command.keyword:
            return
        node = Node(command.keyword, command.flags, command.rest, joined, Lines(first, self.at))
        heredocs = self._heredocs(joined) if _may_have_heredocs(node, self.escape) else ()
        self.nodes.append(
            replace(node, heredocs=heredocs, lines=Lines(first, self.at), comments=tuple(self.comments)),
        )
        self.comments.clear()

    def _next(self) -> str:
        line = self.text[self.at].rstrip("\r")
        self.at += 1
        return line

    def _directive(self, line: str) -> None:
        directive = self.directives.read(line)
        if directive is not None and directive.name == "escape":
            self.escape = escape_character(directive.value)

    def _comment(self, comment: str) -> None:
        if not comment:
            self.comments.clear()
        elif not (self.directives.found and self.directives.found[-1].line == self.at):
            self.comments.append(comment)

    def _without_continuation(self, line: str) -> tuple[str, bool]:
        trimmed = line.rstrip(" \t")
        if trimmed.endswith(self.escape) and not trimmed[:-1].endswith(self.escape):
            return trimmed[:-1], True
        return line, False

    def _joined(self, part: str, continued: bool) -> str:
        """Return the logical line that begins with `part`. Skip comments, and with a warning empty lines."""
        parts = [part]
        empty = False
        while continued and self.at < len(self.text):
            line = self._next()
            bare = line.lstrip(SPACES)
            if bare.startswith("#"):
                continue
            if not bare:
                empty = True
                continue
            part, continued = self._without_continuation(line)
            parts.append(part)
        joined = "".join(parts)
        if empty:
            self.warnings.append(Warned(f"Empty continuation line found in:\n    {joined}", Lines(self.at, self.at)))
        return joined

    def _heredocs(self, line: str) -> tuple[Heredoc, ...]:
        return tuple(self._body(mark) for mark in find_marks(line)) if "<<" in line else ()

    def _body(self, mark: Heredoc) -> Heredoc:
        body: list[str] = []
        while self.at < len(self.text):
            line = self.text[self.at]
            self.at += 1
            end = line.rstrip("\r")
            if (end.lstrip("\t") if mark.strip_tabs else end) == mark.name:
                return replace(mark, content="".join(body))
            body.append(line + "\n")
        raise Problem("unterminated heredoc", f"Add a line that holds only {mark.name}.")


def _may_have_heredocs(node: Node, escape: str) -> bool:
    keyword, rest = node.keyword.upper(), node.rest
    if keyword == "ONBUILD":
        inner = split_command(rest, escape)
        keyword, rest = inner.keyword.upper(), inner.rest
    return keyword in ("ADD", "COPY", "RUN") and json_array(rest) is None


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
        """Return the body, with leading tabs gone where `<<-` asked for it."""
        return _LEADING_TABS.sub("", self.content) if self.strip_tabs else self.content


def parse_mark(word: str) -> Heredoc | None:
    """Return the here-document that `word` opens, without a body yet; None when it opens none."""
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
    """Return all here-documents that an instruction's line opens, in order. A line that cannot be split opens none."""
    try:
        words: Iterable[str] = Lexer(raw_quotes=True, raw_escapes=True, skip_unset=True).words(line, {})
    except Problem:
        return ()
    return tuple(mark for word in words if (mark := parse_mark(word)) is not None)
