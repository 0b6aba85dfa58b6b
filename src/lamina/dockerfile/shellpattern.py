"""The patterns of `${name#pattern}`, `${name%pattern}` and `${name/pattern/text}`: `*`, `?` and backslash escapes.

Rule: POSIX shell, 2.13 "Pattern Matching Notation", without bracket expressions, as the Dockerfile reference has it.
"""

from __future__ import annotations

import re

from lamina.dockerfile.position import Problem


def compile_pattern(pattern: str, *, longest: bool) -> re.Pattern[str]:
    """A regular expression for `pattern`; `*` takes as much as it can where `longest`, else as little.

    Raises Problem for a backslash before a character that needs none.
    """
    parts: list[str] = []
    chars = iter(pattern)
    for char in chars:
        if char == "*":
            parts.append(".*" if longest else ".*?")
        elif char == "?":
            parts.append(".")
        elif char == "\\":
            parts.append(_escaped(next(chars, ""), pattern))
        else:
            parts.append(re.escape(char))
    return re.compile("".join(parts))


def _escaped(char: str, pattern: str) -> str:
    if char not in ("*", "?", "\\", "}", "/"):
        raise Problem(f"invalid pattern ({pattern}) in substitution: invalid escape '\\{char}'")
    return re.escape(char)


def without_prefix(value: str, pattern: str, *, longest: bool) -> str:
    """`value` without the shortest or longest beginning that matches."""
    match = compile_pattern(pattern, longest=longest).match(value)
    return value[match.end() :] if match else value


def without_suffix(value: str, pattern: str, *, longest: bool) -> str:
    """`value` without the shortest or longest end that matches; both are read backwards to find it."""
    return without_prefix(value[::-1], _reversed(pattern), longest=longest)[::-1]


def _reversed(pattern: str) -> str:
    tokens = re.findall(r"\\.|.", pattern, re.DOTALL)
    return "".join(reversed(tokens))


def replaced(value: str, pattern: str, text: str, *, everywhere: bool) -> str:
    """`value` with the first match, or all matches, of `pattern` replaced by `text`, which is taken literally."""
    return compile_pattern(pattern, longest=True).sub(lambda _: text, value, count=0 if everywhere else 1)
