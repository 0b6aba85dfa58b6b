"""What counts as white space in a Dockerfile.

Rule: Go's `unicode.IsSpace` for words, and the smaller set of the reference parser for splitting arguments.
"""

from __future__ import annotations

import re

_WIDE = "\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
SPACES = f"\t\n\v\f\r \x85\xa0{_WIDE}"
ARGUMENT_GAP = re.compile(r"[\t\v\f\r ]+")


def is_space(char: str) -> bool:
    """Whether `char` is white space to Go's `unicode.IsSpace`."""
    return char in SPACES
