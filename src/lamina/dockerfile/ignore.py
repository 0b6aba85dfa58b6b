"""`.dockerignore`: which paths of a build context are left out.

Rule: Dockerfile reference, ".dockerignore file", as moby/patternmatcher matches it: the last pattern that matches a
path or one of its parents decides; `!` brings back; `**` is any number of directories.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass

from lamina.dockerfile.pathpattern import compile_path
from lamina.dockerfile.position import Lines, Problem, located
from lamina.dockerfile.split import SPACES
from lamina.errors import InvalidInput
from lamina.formats.matching import compile_match


def clean(path: str) -> str:
    """Return Go's `path.Clean`: the shortest equal path; "" becomes "."."""
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line: `text` cleaned and relative, `keeps` for a line that began with `!`. `line` counts from 1."""

    text: str
    keeps: bool
    line: int

    def __str__(self) -> str:
        return f"!{self.text}" if self.keeps else self.text


def parse_ignore(text: str) -> tuple[Pattern, ...]:
    """Return the patterns of an ignore file. Raise InvalidInput naming the line for a malformed one."""
    patterns: list[Pattern] = []
    lines = text.removeprefix("\ufeff").split("\n")
    for number, line in enumerate(lines, 1):
        if line.startswith("#"):
            continue
        try:
            pattern = _parse_line(line, number)
        except Problem as problem:
            error = located(problem, lines, Lines(number, number))
            raise InvalidInput(
                f".dockerignore line {number}: {problem.message}", advice=problem.advice, **error.facts
            ) from None
        if pattern is not None:
            patterns.append(pattern)
    return tuple(patterns)


def parse_patterns(texts: Iterable[str]) -> tuple[Pattern, ...]:
    """Return the patterns of a list, as `--exclude` has them. Raise Problem for a malformed one."""
    parsed = (_parse_line(text, number) for number, text in enumerate(texts, 1))
    return tuple(pattern for pattern in parsed if pattern is not None)


def _parse_line(line: str, number: int) -> Pattern | None:
    text = line.strip(SPACES)
    keeps = text.startswith("!")
    text = text[1:].strip(SPACES) if keeps else text
    if not text:
        if keeps:
            raise Problem('illegal exclusion pattern: "!"', "Write a path after the !.")
        return None
    text = clean(text)
    text = text[1:] if len(text) > 1 and text.startswith("/") else text
    try:
        compile_match(text)
    except InvalidInput as error:
        raise Problem(error.message, error.advice) from None
    compile_path(text)
    return Pattern(text, keeps, number)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a path is ignored, which pattern decided (None: no pattern matched), and what its children need."""

    ignored: bool
    pattern: Pattern | None
    parents: tuple[bool, ...]


class IgnoreMatcher:
    """Decides about paths. Walk from the top and hand each directory's Verdict on to its children: that is cheap."""

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        self.patterns = tuple(patterns)
        self._expressions = tuple(_Matcher(pattern.text) for pattern in self.patterns)
        self.top = Verdict(False, None, (False,) * len(self.patterns))

    @property
    def brings_back(self) -> bool:
        """Return whether a `!` line exists, so that ignored directories must still be walked."""
        return any(pattern.keeps for pattern in self.patterns)

    def match(self, path: str, parent: Verdict) -> Verdict:
        """Return the verdict on a relative `path`. `parent` is the verdict on its directory, `top` for the root."""
        ignored = False
        decided: Pattern | None = None
        matches: list[bool] = []
        for index, pattern in enumerate(self.patterns):
            hit = parent.parents[index]
            if not hit and pattern.keeps == ignored:
                hit = self._expressions[index](path)
            matches.append(hit)
            if hit and pattern.keeps == ignored:
                ignored, decided = not pattern.keeps, pattern
        return Verdict(ignored, decided, tuple(matches))

    def ignores(self, path: str) -> Verdict:
        """Return the verdict on one path, whose parents are judged first."""
        verdict = self.top
        names = path.split("/")
        for end in range(1, len(names) + 1):
            verdict = self.match("/".join(names[:end]), verdict)
        return verdict


class _Matcher:
    """One pattern as a predicate. Plain names, and the end of `**name`, are compared without a regular expression."""

    __slots__ = ("_ending", "_matches", "_plain")

    def __init__(self, text: str) -> None:
        special = re.compile(r"[*?\[\]\\]")
        ending = text[2:] if text.startswith("**") and not text.startswith("**/") else ""
        self._ending = ending if ending and not special.search(ending) else None
        self._plain = text if not special.search(text) else None
        self._matches = compile_path(text)

    def __call__(self, path: str) -> bool:
        if self._plain is not None:
            return path == self._plain
        if self._ending is not None:
            return path.endswith(self._ending)
        return self._matches(path)
