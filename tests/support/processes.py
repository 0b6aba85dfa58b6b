"""Other processes on the machine."""

from __future__ import annotations

import os
from pathlib import Path


def processes_naming(text: str) -> list[str]:
    """Command lines of other processes that have `text` in them, behind their numbers."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and process.name != str(os.getpid()):
            try:
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:  # it has just ended
                continue
            if text in command:
                found.append(f"{process.name}: {command}")
    return found
