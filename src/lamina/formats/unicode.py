"""Names are bytes; JSON is text. Inside, a byte that is no UTF-8 is a lone surrogate (PEP 383); outside it is U+FFFD.

That is what Go's encoding/json makes of it, so Docker's clients and servers see what they would see of dockerd.
"""

from __future__ import annotations

import re

REPLACEMENT = "\ufffd"
_SURROGATE = re.compile("[\ud800-\udfff]")


def valid_unicode(text: str) -> str:
    """Return `text` with U+FFFD for each byte that is no UTF-8."""
    return text if text.isascii() else _SURROGATE.sub(REPLACEMENT, text)
