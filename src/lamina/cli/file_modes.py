"""Kind and permissions of a file in one word."""

from __future__ import annotations

from lamina.api.explorer import FileState

_TYPES = {"directory": "d", "symlink": "l", "char": "c", "block": "b", "fifo": "p"}


def kind_and_mode(state: FileState) -> str:
    """Return a word such as `d0755`."""
    return f"{_TYPES.get(state.type, '-')}{state.mode:04o}"
