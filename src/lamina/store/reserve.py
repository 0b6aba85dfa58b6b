"""A little space held back, so that things can be removed from a store on a full disk.

Removing takes space before it gives any: the transaction that forgets content is written first.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

RESERVED = 512 * 1024  # bytes: the pages of a transaction that removes some thousand things


class Reserve:
    """A file of zeros that is given up when a removal finds the disk full, and made again when there is room."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.refill()

    def give_up(self) -> None:
        """Called when a removal begins: make room for it if there is none."""
        if self._free() < RESERVED:
            self._path.unlink(missing_ok=True)

    def refill(self) -> None:
        """Hold space back again, if there is enough; a full disk is no error here."""
        if self._path.exists() or self._free() < 4 * RESERVED:
            return
        with suppress(OSError):  # the disk filled up meanwhile
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(fd, 0, RESERVED)
            finally:
                os.close(fd)

    def _free(self) -> int:
        state = os.statvfs(self._path.parent)
        return state.f_bavail * state.f_frsize
