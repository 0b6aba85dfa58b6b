"""The patterns of `${name#pattern}`, `${name%pattern}` and `${name/pattern/text}`: `*`, `?` and backslash escapes.

Rule: POSIX shell, 2.13 "Pattern Matching Notation", without bracket expressions, as the Dockerfile reference has it.
"""

from __future__ import annotations

import re

from lamina.dockerfile.position import Problem
from lamina.formats.matching import joined_by_stars

LARGEST = 1 << 20  # characters of one expanded word: values that double would fill the memory
SEARCHED = 16 << 10  # characters that may be searched for a pattern with stars, which takes up to their square


def compile_pattern(pattern: str, *, longest: bool) -> re.Pattern[str]:
    """Return a regular expression for `pattern`; `*` takes as much as it can where `longest`, else as little.

    Raise Problem for a backslash before a character that needs none.
    """
    parts: list[str] = [""]
    chars = iter(pattern)
    for char in chars:
        if char == "*":
            parts.append("")
        elif char == "?":
            parts[-1] += "."
        elif char == "\\":
            parts[-1] += _escaped(next(chars, ""), pattern)
        else:
            parts[-1] += re.escape(char)
    return re.compile(joined_by_stars(parts, ".", shortest=not longest))


def _escaped(char: str, pattern: str) -> str:
    if char not in ("*", "?", "\\", "}", "/"):
        raise Problem(f"invalid pattern ({pattern}) in substitution: invalid escape '\\{char}'")
    return re.escape(char)


def without_prefix(value: str, pattern: str, *, longest: bool) -> str:
    """Return `value` without the shortest or longest beginning that matches."""
    match = compile_pattern(pattern, longest=longest).match(value)
    return value[match.end() :] if match else value


def without_suffix(value: str, pattern: str, *, longest: bool) -> str:
    """Return `value` without the shortest or longest end that matches; both are read backwards to find it."""
    return without_prefix(value[::-1], _reversed(pattern), longest=longest)[::-1]


def _reversed(pattern: str) -> str:
    tokens = re.findall(r"\\.|.", pattern, re.DOTALL)
    return "".join(reversed(tokens))


def replaced(value: str, pattern: str, text: str, *, everywhere: bool) -> str:
    """Return `value` with the first match, or all matches, of `pattern` replaced by `text`, which is taken literally.

    Raise Problem where the work or the result would be out of bounds.
    """
    if "*" in pattern and len(value) > SEARCHED:
        raise Problem(f"a value longer than {SEARCHED} characters cannot be searched for {pattern!r}")
    size = len(value)

    def replacement(match: re.Match[str]) -> str:
        nonlocal size
        size += len(text)
        if size > LARGEST:
            raise Problem(f"a word is larger than {LARGEST} characters once {pattern!r} is replaced")
        return text

    return compile_pattern(pattern, longest=True).sub(replacement, value, count=0 if everywhere else 1)
