"""How much memory a process has needed, as the kernel counted it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20


@dataclass
class Growth:
    """Bytes by which a process's peak exceeded what it had at the start; set when the block ends."""

    bytes: int = 0


def peak(pid: int) -> int:
    """Return the most resident memory the process has had since `forget_peak`, in bytes (proc(5), VmHWM)."""
    return _row(pid, "VmHWM")


def resident(pid: int) -> int:
    """Return the process's resident memory in bytes (proc(5), VmRSS)."""
    return _row(pid, "VmRSS")


def forget_peak(pid: int) -> None:
    """Let the kernel count the peak anew from the present (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


@contextmanager
def growth(pid: int) -> Iterator[Growth]:
    """Measure the process's peak while the block runs."""
    forget_peak(pid)
    before = resident(pid)
    measured = Growth()
    yield measured
    measured.bytes = peak(pid) - before


def _row(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    raise AssertionError(f"process {pid} has no {name}")
