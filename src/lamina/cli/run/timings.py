"""What `run --timings` tells: how long each phase of the command took."""

from __future__ import annotations

import os
import sys
import time


class Timings:
    """Phases of this process, from its start on. Unless `wanted`, nothing is noted and nothing printed."""

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted
        self._phases: list[tuple[str, float]] = []
        self._last = _process_start() if wanted else 0.0

    def ended(self, phase: str) -> None:
        """Note that a phase has just ended, which began when the one before it did end."""
        if self._wanted:
            now = time.clock_gettime(time.CLOCK_BOOTTIME)
            self._phases.append((phase, now - self._last))
            self._last = now

    def show(self) -> None:
        """Print the phases in milliseconds to standard error."""
        for phase, seconds in self._phases:
            print(f"{phase:<12}{seconds * 1000:9.1f} ms", file=sys.stderr)


def _process_start() -> float:
    """Return when this process began, in seconds since the machine did: to a hundredth, as proc_pid_stat(5) has it."""
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")
