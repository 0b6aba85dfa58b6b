"""What filters match: Go's `path.Match` wildcards, and labels.

The wildcards are those of COPY and ADD sources and of filters, and the syntax of ignore patterns. `*` and `?` stop at
"/"; `[a-z]`, `[^a-z]`; a backslash takes the next character as it is. A label filter `key` asks for a label of that
name, `key=value` for one with that value as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from lamina.errors import InvalidInput

Filters = Mapping[str, Sequence[str]]
"""Docker's `filters` parameter: what is asked for, by the filter's name."""


def has_wildcards(pattern: str) -> bool:
    """Return whether `pattern` holds an unescaped `*`, `?` or `[`."""
    return any(char in "*?[" for char in re.sub(r"\\.", "", pattern, flags=re.DOTALL))


@lru_cache(maxsize=512)
def compile_match(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a whole path. Raise InvalidInput for a malformed pattern."""
    parts: list[str] = [""]
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*":
            parts.append("")
        elif char == "?":
            parts[-1] += "[^/]"
        elif char == "[":
            text, at = _char_class(pattern, at)
            parts[-1] += text
        elif char == "\\":
            if at == len(pattern):
                raise _malformed(pattern)
            parts[-1] += re.escape(pattern[at])
            at += 1
        else:
            parts[-1] += re.escape(char)
    return re.compile(rf"{joined_by_stars(parts, '[^/]')}\Z", re.DOTALL)


def joined_by_stars(parts: Sequence[str], char: str, *, shortest: bool = False) -> str:
    """Return the expression of `parts` with a star between each two, which takes any number of `char`.

    The last star takes as much as it can, or as little where `shortest`. Before the others the first place that fits
    is taken for good (an atomic group): a later one could only leave less for the rest, and trying them all may take
    time exponential in the number of stars.
    """
    first, *rest = parts
    ending = f"{char}*{'?' if shortest else ''}{rest.pop()}" if rest else ""
    between = "".join(f"(?>{char}*?{part})" for part in rest if part)
    return first + between + ending


def _malformed(pattern: str) -> InvalidInput:
    advice = "Close every [, and put \\ before a character to quote."
    return InvalidInput(f"syntax error in pattern: {pattern}", advice=advice)


def _char_class(pattern: str, at: int) -> tuple[str, int]:
    negated = pattern.startswith("^", at)
    at += negated
    ranges: list[str] = []
    while at < len(pattern) and (pattern[at] != "]" or not ranges):
        low, at = _class_char(pattern, at)
        high = low
        if pattern.startswith("-", at):
            high, at = _class_char(pattern, at + 1)
        if low <= high:
            ranges.append(f"{re.escape(low)}-{re.escape(high)}")
        else:
            ranges.append("")  # an empty range matches nothing, as in Go
    if at >= len(pattern):
        raise _malformed(pattern)
    body = "".join(ranges)
    if not body:
        return ("[^/]" if negated else "(?!)"), at + 1
    return f"(?!/)[{'^' if negated else ''}{body}]", at + 1


def _class_char(pattern: str, at: int) -> tuple[str, int]:
    if at >= len(pattern) or pattern[at] in "-]":
        raise _malformed(pattern)
    if pattern[at] == "\\":
        at += 1
        if at >= len(pattern):
            raise _malformed(pattern)
    return pattern[at], at + 1


def has_label(labels: Mapping[str, str], text: str) -> bool:
    """Return whether `labels` hold what one filter asks for."""
    key, equals, value = text.partition("=")
    return key in labels and (not equals or labels[key] == value)


def labels_match(labels: Mapping[str, str], filters: Filters) -> bool:
    """Return whether labels are as `label` and `label!` of `filters` ask.

    All of `label` must be there, and not all of `label!` (moby daemon/prune.go, matchLabels).
    """
    without = filters.get("label!", ())
    return all(has_label(labels, text) for text in filters.get("label", ())) and not (
        without and all(has_label(labels, text) for text in without)
    )
