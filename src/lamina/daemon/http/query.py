"""What a request's query must be: Go's net/url refuses what it cannot read for sure, and so does dockerd."""

from __future__ import annotations

import json
import re

from lamina.errors import InvalidInput

_BROKEN = re.compile("%(?![0-9A-Fa-f]{2}).{0,2}")


def check_query(raw: str) -> None:
    """Raises InvalidInput for a semicolon, or a percent sign that two hex digits do not follow."""
    for pair in raw.split("&"):
        if ";" in pair:
            raise InvalidInput("invalid semicolon separator in query")
        for text in pair.partition("="):
            if broken := _BROKEN.search(text):
                raise InvalidInput(f"invalid URL escape {json.dumps(broken[0])}")
