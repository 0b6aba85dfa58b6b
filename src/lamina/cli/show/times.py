"""Durations and dates as Docker prints and reads them."""

from __future__ import annotations

import time

from lamina.formats.durations import human_duration


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


def moment(text: str) -> str | None:
    """Return what `--since` and `--until` mean as the API takes it: Unix seconds with a fraction; None for "".

    The client reads it, because a time without a zone is meant in the client's. Raise InvalidInput.
    """
    from lamina.formats.times import parse_moment  # for two commands only, and every table is here to be quick

    return "{}.{:09d}".format(*divmod(parse_moment(text), 10**9)) if text else None
