"""What filters match: Go's `path.Match` wildcards, and labels.

The wildcards are those of COPY and ADD sources and of filters, and the syntax of ignore patterns. `*` and `?` stop at
"/"; `[a-z]`, `[^a-z]`; a backslash takes the next character as it is. A label filter `key` asks for a label of that
name, `key=value` for one with that value as well.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache

from lamina.errors import InvalidInput
from lamina.formats.times import parse_moment

Filters = Mapping[str, Sequence[str]]
"""Docker's `filters` parameter: what is asked for, by the filter's name."""


def has_wildcards(pattern: str) -> bool:
    """Return whether `pattern` holds an unescaped `*`, `?` or `[`."""
    return any(char in "*?[" for char in re.sub(r"\\.", "", pattern, flags=re.DOTALL))


@lru_cache(maxsize=512)
def compile_match(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a whole path. Raise InvalidInput for a malformed pattern."""
    parts: list[str] = [""]
    position = 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "*":
            parts.append("")
        elif char == "?":
            parts[-1] += "[^/]"
        elif char == "[":
            text, position = _char_class(pattern, position)
            parts[-1] += text
        elif char == "\\":
            if position == len(pattern):
                raise _malformed(pattern)
            parts[-1] += re.escape(pattern[position])
            position += 1
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


def _char_class(pattern: str, position: int) -> tuple[str, int]:
    negated = pattern.startswith("^", position)
    position += negated
    ranges: list[str] = []
    while position < len(pattern) and (pattern[position] != "]" or not ranges):
        low, position = _class_char(pattern, position)
        high = low
        if pattern.startswith("-", position):
            high, position = _class_char(pattern, position + 1)
        if low <= high:
            ranges.append(f"{re.escape(low)}-{re.escape(high)}")
        else:
            ranges.append("")  # an empty range matches nothing, as in Go
    if position >= len(pattern):
        raise _malformed(pattern)
    body = "".join(ranges)
    if not body:
        return ("[^/]" if negated else "(?!)"), position + 1
    return f"(?!/)[{'^' if negated else ''}{body}]", position + 1


def _class_char(pattern: str, position: int) -> tuple[str, int]:
    if position >= len(pattern) or pattern[position] in "-]":
        raise _malformed(pattern)
    if pattern[position] == "\\":
        position += 1
        if position >= len(pattern):
            raise _malformed(pattern)
    return pattern[position], position + 1


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


def check_names(filters: Filters, names: Collection[str]) -> None:
    """Raise InvalidInput for a filter that is not in `names`."""
    for name in filters:
        if name not in names:
            raise InvalidInput(f"invalid filter '{name}'")


def flag(filters: Filters, name: str, default: bool) -> bool:
    """Return a filter that is true or false. Raise InvalidInput for another word, or for both at once."""
    words = {word.lower() for word in filters.get(name, ())}
    if not words:
        return default
    if words <= {"1", "true"}:
        return True
    if words <= {"0", "false"}:
        return False
    raise InvalidInput(f"invalid filter '{name}={sorted(words)}'")


def any_fits(values: Iterable[str], texts: Sequence[str]) -> bool:
    """Return whether one of `texts` is in a value; true where there are none. Docker matches names and ids this way."""
    return not texts or any(text in value for value in values for text in texts)


def until(filters: Filters) -> int | None:
    """Return the time the filter `until` names, in nanoseconds since the epoch. Raise InvalidInput."""
    moments = filters.get("until", ())
    if len(moments) > 1:
        raise InvalidInput("more than one until filter specified")
    return parse_moment(moments[0]) if moments else None
