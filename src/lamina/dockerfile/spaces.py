"""What counts as white space in a Dockerfile.

Rule: Go's `unicode.IsSpace` for words, and the smaller set of the reference parser for splitting arguments.
"""

from __future__ import annotations

import re

SPACES = "\t\n\v\f\r \x85\xa0"
ARGUMENT_GAP = re.compile(r"[\t\v\f\r ]+")


def is_space(char: str) -> bool:
    return char in SPACES
