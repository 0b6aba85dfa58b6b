"""Durations and dates as Docker prints and reads them."""

from __future__ import annotations

import re
import time

from lamina.errors import InvalidInput

DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d)(\.\d+)?)?)?)?\s*(Z|[+-]\d\d:?\d\d)?", re.IGNORECASE
)


def human_duration(seconds: float) -> str:
    """About how long, in words: "2 hours", "About a minute"."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    minutes = whole // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    for limit, divisor, unit in ((48, 1, "hours"), (24 * 7 * 2, 24, "days"), (24 * 30 * 2, 24 * 7, "weeks")):
        if hours < limit:
            return f"{hours // divisor} {unit}"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{int(seconds / 3600) // 24 // 365} years"


def ago(epoch: float) -> str:
    """How long a moment is past: "2 hours ago"."""
    return f"{human_duration(max(0.0, time.time() - epoch))} ago"


def created_at(epoch: float) -> str:
    """A moment in local time, as Docker's tables show it: "2026-05-07 20:33:45 +0000 UTC"."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(epoch))


def rfc3339(epoch: float) -> str:
    """A moment in local time with its zone: "2026-05-07T20:33:45Z"."""
    zone = time.strftime("%z", time.localtime(epoch))
    shown = "Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}"
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(epoch)) + shown


def rfc3339_nano(nanoseconds: int) -> str:
    """`rfc3339` with nine digits of the second."""
    base = rfc3339(nanoseconds // 10**9)
    return f"{base[:19]}.{nanoseconds % 10**9:09d}{base[19:]}"


def parse_time(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 date or date and time; local where no zone is given.

    Raises InvalidInput.
    """
    match = RFC3339.fullmatch(text.strip())
    if match is None:
        raise InvalidInput(f"{text!r} is not a time", advice="Write it like 2026-05-07T20:33:45Z")
    year, month, day, hour, minute, second = (int(match[number] or 0) for number in range(1, 7))
    fraction = float(match[7] or 0)
    zone = match[8]
    if zone is None:
        return time.mktime((year, month, day, hour, minute, second, 0, 0, -1)) + fraction
    from calendar import timegm

    offset = 0 if zone in "Zz" else int(zone[:3]) * 60 + int(zone[0] + zone[-2:])
    return timegm((year, month, day, hour, minute, second, 0, 0, 0)) - offset * 60 + fraction


def parse_duration(text: str, what: str = "duration") -> int:
    """Nanoseconds of Go's "1h30m", "500ms". Raises InvalidInput."""
    sign, body = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if body == "0":
        return 0
    parts = DURATION_PART.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        raise InvalidInput(f"{text!r} is not a {what}", advice="Write it like 30s, 1m30s or 500ms")
    return sign * int(sum(float(number) * NANOSECONDS[unit] for number, unit in parts))


def moment(text: str) -> str | None:
    """What `--since` and `--until` take, as the API wants it: seconds since the epoch, with a fraction.

    A number stays as it is, "10m" is so long ago, anything else is a date. None for an empty text. Raises InvalidInput.
    """
    if not text:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return text
    if DURATION_PART.match(text):
        return f"{time.time() - parse_duration(text) / 10**9:.9f}"
    return f"{parse_time(text):.9f}"
