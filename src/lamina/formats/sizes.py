"""Sizes as Docker reads and prints them: powers of 1024 for memory, of 1000 for people's disks."""

from __future__ import annotations

from lamina.errors import InvalidInput

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")
_SIZE = r"(\d+(?:\.\d*)?|\.\d+) *(?:([kmgtp])(?:i?b)?|b)?"
_LONGEST = 64  # characters: more digits than any size has


def parse_size(text: str, what: str = "size") -> int:
    """Return the bytes of "512m", "1.5g", "64KiB". Raise InvalidInput, which calls it `what`, for anything else.

    Units are powers of 1024, whatever the spelling (docker/go-units, RAMInBytes). A part of a byte is cut.
    """
    import re

    match = re.fullmatch(_SIZE, text.strip(), re.ASCII | re.IGNORECASE) if len(text) <= _LONGEST else None
    if match is None:
        raise InvalidInput(f'invalid {what} "{text}"', advice="Write a number with a unit, such as 512m or 1.5g.")
    unit: int = 1024 ** " kmgtp".index((match[2] or " ").lower())
    integer, _, fraction = match[1].partition(".")
    parts: int = 10 ** len(fraction)
    size = int(integer or 0) * unit + int(fraction or 0) * unit // parts
    if size >= 2**63:
        raise InvalidInput(f'invalid {what} "{text}"', advice="It is larger than 8 EiB.")
    return size


def human_size(size: float, digits: int = 4) -> str:
    """Return bytes in powers of 1000, with so many significant digits: 1982340 is "1.982MB"."""
    return _scaled(size, 1000, _DECIMAL, digits)


def binary_size(size: float) -> str:
    """Return bytes in powers of 1024: 1982340 is "1.891MiB"."""
    return _scaled(size, 1024, _BINARY, 4)


def _scaled(size: float, base: int, units: tuple[str, ...], digits: int) -> str:
    step = 0
    while size >= base and step < len(units) - 1:
        size /= base
        step += 1
    return f"{size:.{digits}g}{units[step]}"
