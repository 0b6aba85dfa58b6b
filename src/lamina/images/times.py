"""Times as images and Docker's API write them: RFC 3339 in UTC, up to nanoseconds."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

_MEANINGLESS = ("0001-", "1970-01-01T")  # Go's zero time, and the epoch of reproducible builds

_UNIX = re.compile(r"(-?[0-9]{1,18})(?:\.([0-9]*))?")


def now() -> str:
    """The present time."""
    return from_ns(time.time_ns())


def from_ns(ns: int) -> str:
    """`ns` since the epoch as RFC3339Nano: a fraction without trailing zeros, no fraction for whole seconds."""
    seconds, fraction = divmod(ns, 10**9)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return text + (f".{fraction:09d}".rstrip("0") if fraction else "") + "Z"


def to_ns(text: str) -> int:
    """Nanoseconds since the epoch of an RFC 3339 time (negative before it). Raises ValueError."""
    upper = text.upper()
    split = max(upper.rfind("Z"), upper.rfind("+"), upper.rfind("-", 11))
    whole, _, fraction = upper[:split].partition(".")
    moment = datetime.fromisoformat(whole + upper[split:].replace("Z", "+00:00"))
    seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    return seconds * 10**9 + int(fraction[:9].ljust(9, "0") or 0)


def unix_ns(text: str) -> int | None:
    """Nanoseconds since the epoch of Unix seconds with or without a fraction; None for anything else."""
    found = _UNIX.fullmatch(text)
    return int(found[1]) * 10**9 + int((found[2] or "")[:9].ljust(9, "0")) if found else None


def shown(written: str | None, fallback: str) -> str:
    """The time to show to people: `written`, unless it is missing or stands for "no time"."""
    return fallback if not written or written.startswith(_MEANINGLESS) else written
