"""What an engine takes while it answers or waits: its processor time, its memory and how often it wakes up."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from engines.samples import Result, Sample
from engines.subjects import KEPT, Subject

_SCHED = 2  # CPUCLOCK_SCHED: what clock_getcpuclockid(3) makes of a process id
WATCHED = 20  # seconds in which nobody asks an engine for anything


def processes(pid: int) -> list[int]:
    """Return an engine's process and the containerd below it, which dockerd runs as a process of its own."""
    children = [int(word) for file in Path(f"/proc/{pid}/task").glob("*/children") for word in file.read_text().split()]
    return [pid, *(child for child in children if Path(f"/proc/{child}/comm").read_text().strip() == "containerd")]


def processor_time(pids: Iterable[int]) -> float:
    """Return the milliseconds that processes ran so far, with the threads that ended already."""
    return sum(time.clock_gettime(~pid << 3 | _SCHED) for pid in pids) * 1000


def memory(pids: Iterable[int]) -> float:
    """Return megabytes: shared pages count in parts (Pss, proc(5))."""
    return sum(_field(Path(f"/proc/{pid}/smaps_rollup"), "Pss:") for pid in pids) / 1024


def wake_ups(pids: Iterable[int]) -> int:
    """Return how often the threads of these processes stopped waiting so far."""
    files = [file for pid in pids for file in Path(f"/proc/{pid}/task").glob("*/status")]
    return sum(_field(file, "voluntary_ctxt_switches:") for file in files)


def idle(subjects: Sequence[Subject]) -> list[Result]:
    """Measure engines that have nothing to do, and what stands beside a container that has nothing to do."""
    whole = [subject for subject in subjects if not subject.is_containerd]  # containerd alone is half an engine
    engines = {subject.engine: processes(subject.pid) for subject in whole if subject.pid}
    before = {engine: wake_ups(pids) for engine, pids in engines.items()}
    time.sleep(WATCHED)  # the passing of time is what is measured
    woken = {engine: (wake_ups(pids) - before[engine]) * 60 / WATCHED for engine, pids in engines.items()}
    used = {engine: memory(pids) for engine, pids in engines.items()}
    beside = {}
    for subject in whole:
        if subject.engine not in beside:
            init = subject.prepare("inspect", "--format", "{{.State.Pid}}", KEPT)
            beside[subject.engine] = memory([parent(int(init))])
    return [
        _result("idle engine: memory", "MB", used, {"lamina": 3}),
        _result("idle engine: wake-ups in a minute", "", woken, {}, limit=0),
        _result("idle container: memory of the process beside it", "MB", beside, {"lamina": 1}),
    ]


def _result(
    name: str, unit: str, values: Mapping[str, float], targets: Mapping[str, float], limit: float | None = None
) -> Result:
    return Result(name, unit, targets, limit, {engine: [Sample(value)] for engine, value in values.items()})


def parent(pid: int) -> int:
    """Return the process that started a process."""
    return _field(Path(f"/proc/{pid}/status"), "PPid:")


def _field(file: Path, name: str) -> int:
    line = next(line for line in file.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])
