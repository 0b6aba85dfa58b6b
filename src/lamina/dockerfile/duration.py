"""Go's durations (`1h2m3.5s`), as HEALTHCHECK takes them and histories show them. Values are nanoseconds."""

from __future__ import annotations

import re
from decimal import Decimal

from lamina.dockerfile.position import Problem

UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_WHOLE = re.compile(r"[+-]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)\Z", re.ASCII)
_LONGEST = 128  # characters: more digits than any duration has


def parse_duration(text: str) -> int:
    """Nanoseconds of a Go duration. Raises Problem for anything else."""
    if len(text) > _LONGEST or not _WHOLE.match(text):
        raise Problem(f'invalid duration "{text}"', "Write a number with a unit, such as 30s or 1m30s.")
    total = sum(int(Decimal(number) * UNITS[unit]) for number, unit in _PART.findall(text))
    if total >= 2**63:
        raise Problem(f'invalid duration "{text}"', "It is longer than 292 years.")
    return -total if text.startswith("-") else total


def format_duration(value: int) -> str:
    """Nanoseconds as Go prints them: `1m30s`, `1.5s`, `300ms`, `0s`."""
    sign, value = ("-", -value) if value < 0 else ("", value)
    if value < 10**9:
        for unit, size in (("ms", 10**6), ("µs", 10**3), ("ns", 1)):
            if value >= size:
                return f"{sign}{_decimal(value, size)}{unit}"
        return "0s"
    hours, rest = divmod(value, UNITS["h"])
    minutes, rest = divmod(rest, UNITS["m"])
    text = f"{hours}h" if hours else ""
    text += f"{minutes}m" if hours or minutes else ""
    return f"{sign}{text}{_decimal(rest, UNITS['s'])}s"


def _decimal(value: int, unit: int) -> str:
    whole, part = divmod(value, unit)
    digits = str(part).rjust(len(str(unit)) - 1, "0").rstrip("0") if part else ""
    return f"{whole}.{digits}" if digits else str(whole)
