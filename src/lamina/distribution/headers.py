"""Headers that both sides of the registry protocol read: challenges, links, ranges, waiting times."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

_SCHEME = re.compile(r"\s*,?\s*([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?=[\s,]|$)\s*")
_PARAMETER = re.compile(r"\s*,?\s*([A-Za-z0-9_-]+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,\"]+))")
_LINK = re.compile(r"<([^>]*)>\s*;\s*rel=\"?next\"?", re.IGNORECASE)
_OFFSETS = re.compile(r"(?:bytes[= ])?(\d{1,19})-(\d{1,19})(?:/(?:\d{1,19}|\*))?")
_BYTES = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to authenticate that a WWW-Authenticate header offers; `scheme` is in lower case (RFC 9110, 11.6.1)."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def parse_challenges(header: str) -> list[Challenge]:
    """Return all challenges of a WWW-Authenticate header; what is malformed ends the list."""
    challenges: list[Challenge] = []
    position = 0
    while position < len(header):
        if challenges and (match := _PARAMETER.match(header, position)):
            quoted = match[2]
            value = match[3] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            challenges[-1].parameters[match[1].lower()] = value
        elif match := _SCHEME.match(header, position):
            challenges.append(Challenge(match[1].lower()))
        else:
            break
        position = match.end()
    return challenges


def next_link(header: str | None) -> str | None:
    """Return the target of the link to the next page (RFC 8288), as written."""
    match = _LINK.search(header or "")
    return match[1] if match else None


def parse_offsets(header: str | None) -> tuple[int, int] | None:
    """Return first and last byte of an upload's `Range` (`0-99`), or of a `Content-Range` with or without a unit."""
    match = _OFFSETS.fullmatch((header or "").strip())
    return (int(match[1]), int(match[2])) if match else None


def parse_byte_range(header: str, size: int) -> tuple[int, int] | None:
    """Return first and last byte that a `Range: bytes=…` selects from `size` bytes; None where it selects nothing.

    Raise ValueError for other units, several ranges and malformed ones, which a server may ignore (RFC 9110, 14.2).
    """
    match = _BYTES.fullmatch(header.strip())
    if match is None or not (match[1] or match[2]):
        raise ValueError(f"not one range of bytes: {header[:100]!r}")
    if not match[1]:
        first, last = max(0, size - int(match[2])), size - 1
    else:
        first, last = int(match[1]), min(int(match[2] or size - 1), size - 1)
    return (first, last) if first <= last else None


def parse_number(header: str | None) -> int | None:
    """Return the natural number of a header such as Content-Length; None where it is missing or malformed."""
    text = header or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def retry_after(header: str | None, now: float | None = None) -> float | None:
    """Return how many seconds a `Retry-After` header asks to wait. It holds seconds or a date (RFC 9110, 10.2.3)."""
    if not header:
        return None
    if (seconds := parse_number(header.strip())) is not None:
        return float(seconds)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - (time.time() if now is None else now))
    except ValueError:
        return None
