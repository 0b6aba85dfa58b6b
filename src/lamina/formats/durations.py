"""Go's durations (`1h2m3.5s`), as Docker's flags, filters, Dockerfiles and histories have them; and in words."""

from __future__ import annotations

import re

from lamina.errors import InvalidInput

_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)"
_WHOLE = r"[+-]?(?:0|(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)"
_LONGEST = 128  # characters: more digits than any duration has
_ADVICE = "Write a number with a unit, such as 30s or 1m30s."


def parse_duration(text: str, what: str = "duration") -> int:
    """Return the nanoseconds of a Go duration. Raise InvalidInput, which calls it `what`, for anything else.

    Rule: Go's time.ParseDuration; digits beyond nanoseconds are cut.
    """
    if len(text) > _LONGEST or not re.fullmatch(_WHOLE, text, re.ASCII):
        raise InvalidInput(f'invalid {what} "{text}"', advice=_ADVICE)
    total = sum(_nanoseconds(number, unit) for number, unit in re.findall(_PART, text))
    if total >= 2**63:
        raise InvalidInput(f'invalid {what} "{text}"', advice="It is longer than 292 years.")
    return -total if text.startswith("-") else total


def _nanoseconds(number: str, unit: str) -> int:
    whole, _, fraction = number.partition(".")
    parts: int = 10 ** len(fraction)
    return int(whole or 0) * _UNITS[unit] + int(fraction or 0) * _UNITS[unit] // parts


def format_duration(value: int) -> str:
    """Return nanoseconds as Go prints them: `1m30s`, `1.5s`, `300ms`, `0s`."""
    sign, value = ("-", -value) if value < 0 else ("", value)
    if value < 10**9:
        for unit, size in (("ms", 10**6), ("µs", 10**3), ("ns", 1)):
            if value >= size:
                return f"{sign}{_decimal(value, size)}{unit}"
        return "0s"
    hours, rest = divmod(value, _UNITS["h"])
    minutes, rest = divmod(rest, _UNITS["m"])
    text = f"{hours}h" if hours else ""
    text += f"{minutes}m" if hours or minutes else ""
    return f"{sign}{text}{_decimal(rest, _UNITS['s'])}s"


def _decimal(value: int, unit: int) -> str:
    whole, part = divmod(value, unit)
    digits = str(part).rjust(len(str(unit)) - 1, "0").rstrip("0") if part else ""
    return f"{whole}.{digits}" if digits else str(whole)


def human_duration(seconds: float) -> str:
    """Return about how long it is, in words: "2 hours", "About a minute".

    Rule: docker/go-units, HumanDuration.
    """
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole < 60:
        return "1 second" if whole == 1 else f"{whole} seconds"
    minutes, hours = whole // 60, int(seconds / 3600 + 0.5)
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if hours == 1:
        return "About an hour"
    for unit, size, limit in (("hours", 1, 48), ("days", 24, 24 * 14), ("weeks", 24 * 7, 24 * 60)):
        if hours < limit:
            return f"{hours // size} {unit}"
    return f"{hours // 24 // 30} months" if hours < 24 * 365 * 2 else f"{int(seconds / 3600) // 24 // 365} years"
