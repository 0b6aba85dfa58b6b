"""Times and durations as images, logs, flags and Docker's API have them.

Times are RFC 3339 text or nanoseconds since the epoch. Durations are Go's (`1h2m3.5s`), or words for people.
"""

from __future__ import annotations

import time

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
_DURATION_ADVICE = "Write a number with a unit, such as 30s or 1m30s."
_SECOND = 10**9
_FIRST, _LAST = -62167219200, 253402300799  # seconds since the epoch: the years 0 to 9999
_RFC3339 = r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)"
_UNIX = r"(-?\d{1,18})(?:\.(\d*))?"
_PARTIAL = r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d(?::\d\d(?::\d\d)?)?)(?:(?<=:\d\d:\d\d)\.(\d+))?)? *(Z|[+-]\d\d:?\d\d)?"
_MOMENT_ADVICE = "Write 10m, 1h30m, Unix seconds or 2024-01-31T12:00:00Z."


def parse_duration(text: str, what: str = "duration") -> int:
    """Return the nanoseconds of a Go duration. Raise InvalidInput, which calls it `what`, for anything else.

    Rule: Go's time.ParseDuration; digits beyond nanoseconds are cut.
    """
    import re

    if len(text) > _LONGEST or not re.fullmatch(_WHOLE, text, re.ASCII):
        raise InvalidInput(f'invalid {what} "{text}"', advice=_DURATION_ADVICE)
    total = sum(_nanoseconds(number, unit) for number, unit in re.findall(_PART, text))
    if total >= 2**63:
        raise InvalidInput(f'invalid {what} "{text}"', advice="It is longer than 292 years.")
    return -total if text.startswith("-") else total


def _nanoseconds(number: str, unit: str) -> int:
    integer, _, fraction = number.partition(".")
    parts: int = 10 ** len(fraction)
    return int(integer or 0) * _UNITS[unit] + int(fraction or 0) * _UNITS[unit] // parts


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
    integer, part = divmod(value, unit)
    digits = str(part).rjust(len(str(unit)) - 1, "0").rstrip("0") if part else ""
    return f"{integer}.{digits}" if digits else str(integer)


def human_duration(seconds: float) -> str:
    """Return about how long it is, in words: "2 hours", "About a minute".

    Rule: docker/go-units, HumanDuration.
    """
    whole_seconds = int(seconds)
    if whole_seconds < 1:
        return "Less than a second"
    if whole_seconds < 60:
        return "1 second" if whole_seconds == 1 else f"{whole_seconds} seconds"
    minutes, hours = whole_seconds // 60, int(seconds / 3600 + 0.5)
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if hours == 1:
        return "About an hour"
    for unit, size, limit in (("hours", 1, 48), ("days", 24, 24 * 14), ("weeks", 24 * 7, 24 * 60)):
        if hours < limit:
            return f"{hours // size} {unit}"
    return f"{hours // 24 // 30} months" if hours < 24 * 365 * 2 else f"{int(seconds / 3600) // 24 // 365} years"


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
    """Return nanoseconds since the epoch of an RFC 3339 time. Raise ValueError for other texts, and impossible days.

    Digits beyond nanoseconds are cut. A time that is not within the years 1 to 9999 in UTC is refused.
    """
    import re

    match = re.fullmatch(_RFC3339, text, re.ASCII | re.IGNORECASE)
    if match is None:
        raise ValueError(f"{text!r} is not an RFC 3339 time")
    return _moment(match[1], match[2], match[3], match[4])


def whole_seconds(text: str) -> str:
    """Return an RFC 3339 time in UTC without the fraction of its second."""
    return format_time(parse_time(text), 0)


def parse_unix(text: str) -> int | None:
    """Return nanoseconds since the epoch of Unix seconds with or without a fraction; None for anything else."""
    import re

    match = re.fullmatch(_UNIX, text, re.ASCII)
    return int(match[1]) * _SECOND + _fraction(match[2]) if match else None


def parse_moment(text: str) -> int:
    """Return nanoseconds since the epoch of what Docker's filters and flags take. Raise InvalidInput.

    That is a Go duration back from now, Unix seconds, RFC 3339, or the beginning of it. A time without a zone is local
    time (docker/cli and moby, timetypes.GetTimestamp).
    """
    import re

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
    raise InvalidInput(f'invalid time "{text}"', advice=_MOMENT_ADVICE, value=text)


def _moment(day: str, clock: str, fraction: str | None, zone: str | None) -> int:
    from datetime import UTC, datetime, timedelta  # the monitors of containers, which only print times, do without it

    if clock.startswith("24"):  # RFC 3339 has no such hour; Python takes it from 3.14 on
        raise ValueError(f"{clock} is no time of a day")
    moment = datetime.fromisoformat(f"{day}T{clock}{(zone or '').upper()}")
    try:
        since_epoch = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    except OverflowError:
        raise ValueError(f"{moment.isoformat()} is outside of the years 1 to 9999") from None
    return since_epoch // timedelta(seconds=1) * _SECOND + _fraction(fraction)


def _fraction(digits: str | None) -> int:
    return int((digits or "")[:9].ljust(9, "0"))
