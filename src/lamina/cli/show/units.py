"""Sizes as Docker prints and reads them: powers of 1000 for people's disks, of 1024 for memory."""

from __future__ import annotations

import re

from lamina.errors import InvalidInput

DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([kKmMgGtTpP])(?:i?[bB])?|[bB])?")


def human_size(size: float, digits: int = 4) -> str:
    """Bytes in powers of 1000, with so many significant digits: 1982340 is "1.982MB"."""
    return _scaled(size, 1000, DECIMAL, digits)


def binary_size(size: float) -> str:
    """Bytes in powers of 1024: 1982340 is "1.891MiB"."""
    return _scaled(size, 1024, BINARY, 4)


def _scaled(size: float, base: int, units: tuple[str, ...], digits: int) -> str:
    step = 0
    while size >= base and step < len(units) - 1:
        size /= base
        step += 1
    return f"{size:.{digits}g}{units[step]}"


def parse_size(text: str, what: str = "size") -> int:
    """Bytes of "512m", "1.5g", "64KiB": powers of 1024, whatever the spelling. Raises InvalidInput."""
    match = SIZE.fullmatch(text.strip())
    if match is None:
        raise InvalidInput(
            f"{text!r} is not a {what}", advice="Write a number with b, k, m or g behind it, such as 512m"
        )
    power = "kmgtp".index(match[2].lower()) + 1 if match[2] else 0
    return int(float(match[1]) * 1024**power)
