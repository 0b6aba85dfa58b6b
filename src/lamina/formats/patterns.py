"""Regular expressions of clients, which must not take long: Go's always end soon.

Python's may try a number of ways that grows with every repetition, so those that could are refused.
"""

from __future__ import annotations

import re

from lamina.errors import InvalidInput

_REPEAT = re.compile(r"[*+{]")
_REPEATED_GROUP = re.compile(r"\)[*+{]")
_MOST_WAYS = 10**8


def found_in(what: str, pattern: str, *texts: str) -> bool:
    """Return whether the regular expression is found in a text. Raise InvalidInput, which calls it `what`."""
    repeats = len(_REPEAT.findall(pattern))
    if _REPEATED_GROUP.search(pattern) or max(map(len, texts), default=0) ** repeats > _MOST_WAYS:
        raise InvalidInput(f"{what} repeats too much", advice="Write fewer of *, + and {}", pattern=pattern)
    try:
        return any(re.search(pattern, text) for text in texts)
    except (re.error, RecursionError, OverflowError):
        raise InvalidInput(f"invalid {what}", pattern=pattern) from None
