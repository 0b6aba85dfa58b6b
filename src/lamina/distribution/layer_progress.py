"""Progress of one layer in Docker's words, at most ten times a second."""

from __future__ import annotations

import threading
import time

from lamina.formats.digest import Digest
from lamina.progress import Report, Status

INTERVAL = 0.1  # seconds between two messages of the same kind


class Meter:
    """Reports on one layer. Thread-safe: download and extraction tell their progress at the same time."""

    def __init__(self, report: Report, digest: Digest, total: int | None = None) -> None:
        self._report = report
        self._id = digest.short
        self._total = total
        self._last = 0.0
        self._lock = threading.Lock()

    def say(self, status: str) -> None:
        """Report that a step was reached."""
        self._report(Status(status, self._id))

    def at(self, status: str, current: int) -> None:
        """Report that so many bytes of this step are done."""
        now = time.monotonic()
        with self._lock:
            if now - self._last < INTERVAL and current != self._total:
                return
            self._last = now
        self._report(Status(status, self._id, current, self._total))
