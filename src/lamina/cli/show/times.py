"""Durations and dates as Docker prints and reads them."""

from __future__ import annotations

import re
import time

from lamina.errors import InvalidInput
from lamina.formats.durations import human_duration, parse_duration

RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d)(\.\d+)?)?)?)?\s*(Z|[+-]\d\d:?\d\d)?", re.IGNORECASE
)


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


def moment(text: str) -> str | None:
    """What `--since` and `--until` take, as the API wants it: seconds since the epoch, with a fraction.

    A number stays as it is, "10m" is so long ago, anything else is a date. None for an empty text. Raises InvalidInput.
    """
    if not text:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return text
    try:
        return f"{time.time() - parse_duration(text) / 10**9:.9f}"
    except InvalidInput:
        return f"{parse_time(text):.9f}"
