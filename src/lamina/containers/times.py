"""Times as Docker writes and takes them."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from lamina.errors import InvalidInput
from lamina.images.times import unix_ns
from lamina.runtime.monitor.jsonlog import timestamp

__all__ = ["now", "parse_rfc3339", "parse_when", "timestamp"]


def now() -> str:
    """The present time, RFC3339Nano."""
    return timestamp(time.time_ns())


def parse_rfc3339(text: str) -> int:
    """Nanoseconds since the epoch of an RFC3339 time with any number of fraction digits. Raises ValueError."""
    main, dot, rest = text.partition(".")
    if dot:
        digits = len(rest) - len(rest.lstrip("0123456789"))
        fraction, zone = rest[:digits], rest[digits:]
    else:
        fraction, zone = "", ""
    moment = datetime.fromisoformat(main + zone)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    whole = int(moment.timestamp())
    return whole * 1_000_000_000 + int(fraction[:9].ljust(9, "0") or 0)


def parse_when(text: str) -> int:
    """A `since` or `until`: seconds since the epoch with a fraction, or RFC3339; gives nanoseconds, 0 for "".

    Raises InvalidInput.
    """
    if not text:
        return 0
    try:
        unix = unix_ns(text)
        return unix if unix is not None else parse_rfc3339(text)
    except (ValueError, OverflowError):
        raise InvalidInput(f'invalid timestamp: "{text}"', value=text) from None
