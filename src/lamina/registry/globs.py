"""Patterns for repository names: `*` stays within one component, `**` does not."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*|\?)", pattern)
    translated = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(translated.get(part, re.escape(part)) for part in parts))


def matches(pattern: str, repository: str) -> bool:
    """Whether a repository's name fits a pattern."""
    return _compiled(pattern).fullmatch(repository) is not None
