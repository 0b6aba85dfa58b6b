"""How much memory a process has needed, as the kernel counted it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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


@dataclass(frozen=True)
class Held:
    """What processes hold of the machine's memory, in bytes (proc(5), smaps_rollup).

    `private` is theirs alone. `proportional` counts of each shared page the share of one of its users.
    """

    private: int
    proportional: int

    def __str__(self) -> str:
        return f"{self.private >> 10} KiB private, {self.proportional >> 10} KiB proportional"


def held(pids: Iterable[int], shared_by: int = 1) -> Held:
    """Return what the processes hold together, or the part of it that falls to each of `shared_by` containers."""
    private = proportional = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name in ("Private_Clean", "Private_Dirty"):
                private += int(rest.split()[0]) << 10
            elif name == "Pss":
                proportional += int(rest.split()[0]) << 10
    return Held(private // shared_by, proportional // shared_by)


def _row(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    raise AssertionError(f"process {pid} has no {name}")
