"""Results that several rooms of the Engine API share."""

from __future__ import annotations

from typing import NamedTuple


class Pruned(NamedTuple):
    """The IDs or names of what a prune removed, and the bytes of its files."""

    removed: tuple[str, ...]
    reclaimed: int = 0
