"""Times as images, logs and Docker's API have them: RFC 3339 text, and nanoseconds since the epoch."""

from __future__ import annotations

import re
import time

from lamina.errors import InvalidInput
from lamina.formats.durations import parse_duration

_SECOND = 10**9
_FIRST, _LAST = -62167219200, 253402300799  # seconds since the epoch: the years 0 to 9999
_RFC3339 = r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)"
_UNIX = r"(-?\d{1,18})(?:\.(\d*))?"
_PARTIAL = r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d(?::\d\d(?::\d\d)?)?)(?:(?<=:\d\d:\d\d)\.(\d+))?)? *(Z|[+-]\d\d:?\d\d)?"
_ADVICE = "Write 10m, 1h30m, Unix seconds or 2024-01-31T12:00:00Z."


def now() -> str:
    """Return the present time."""
    return format_time(time.time_ns())


def format_time(time_ns: int, digits: int | None = None) -> str:
    """Return RFC 3339 in UTC with so many digits of the second, by default without trailing zeros as Go prints it.

    Raise ValueError outside of the years 0 to 9999.
    """
    seconds, fraction = divmod(time_ns, _SECOND)
    if not _FIRST <= seconds <= _LAST:
        raise ValueError(f"{seconds} seconds after 1970 is not within the years 0 to 9999")
    year, month, day, hour, minute, second = time.gmtime(seconds)[:6]
    decimals = f"{fraction:09d}".rstrip("0") if digits is None else f"{fraction:09d}"[:digits]
    point = "." if decimals else ""
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}{point}{decimals}Z"


def parse_time(text: str) -> int:
    """Return nanoseconds since the epoch of an RFC 3339 time. Raise ValueError for others, and for no day of ours.

    Digits beyond nanoseconds are cut. A time that is not within the years 1 to 9999 in UTC is refused.
    """
    match = re.fullmatch(_RFC3339, text, re.ASCII | re.IGNORECASE)
    if match is None:
        raise ValueError(f"{text!r} is not an RFC 3339 time")
    return _moment(match[1], match[2], match[3], match[4])


def parse_unix(text: str) -> int | None:
    """Return nanoseconds since the epoch of Unix seconds with or without a fraction; None for anything else."""
    match = re.fullmatch(_UNIX, text, re.ASCII)
    return int(match[1]) * _SECOND + _fraction(match[2]) if match else None


def parse_moment(text: str) -> int:
    """Return nanoseconds since the epoch of what Docker's filters and flags take. Raise InvalidInput.

    That is a Go duration back from now, Unix seconds, RFC 3339, or the beginning of it. Local time where there is no
    zone (docker/cli and moby, timetypes.GetTimestamp).
    """
    if (unix := parse_unix(text)) is not None:
        return unix
    try:
        return time.time_ns() - parse_duration(text)
    except InvalidInput:
        pass
    match = re.fullmatch(_PARTIAL, text, re.ASCII | re.IGNORECASE)
    try:
        if match is not None:
            return _moment(match[1], f"{match[2] or '00'}:00:00"[:8], match[3], match[4])
    except ValueError:
        pass
    raise InvalidInput(f'invalid time "{text}"', advice=_ADVICE, value=text)


def _moment(day: str, clock: str, fraction: str | None, zone: str | None) -> int:
    from datetime import UTC, datetime, timedelta  # the monitors of containers, which only print times, do without it

    moment = datetime.fromisoformat(f"{day}T{clock}{(zone or '').upper()}")
    try:
        whole = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    except OverflowError:
        raise ValueError(f"{moment.isoformat()} is outside of the years 1 to 9999") from None
    return whole // timedelta(seconds=1) * _SECOND + _fraction(fraction)


def _fraction(digits: str | None) -> int:
    return int((digits or "")[:9].ljust(9, "0"))
