"""Booleans as Go's strconv.ParseBool reads them."""

from __future__ import annotations

from lamina.errors import InvalidInput

_WORDS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}


def parse_bool(text: str, what: str = "value") -> bool:
    """Return the boolean. Raise InvalidInput, which calls it `what`, for anything else."""
    if text not in _WORDS:
        raise InvalidInput(f'{what}: "{text}" is neither true nor false', value=text)
    return _WORDS[text]
