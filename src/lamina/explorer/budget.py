"""How many bytes of files one question may read: a file with holes may be of any size."""

from __future__ import annotations

from lamina.layers.tree import Node


class ReadBudget:
    """Counts bytes down. What no longer fits is left out, so a hostile image gets a shorter answer, not a long wait."""

    def __init__(self, limit: int) -> None:
        self._left = limit

    def take(self, node: Node) -> bool:
        """Return whether the file may be read as well, and count it."""
        if node.entry.size > self._left:
            return False
        self._left -= node.entry.size
        return True
