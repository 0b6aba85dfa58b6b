"""lamina beside the other engines of this machine: every row in turn on each, so that a noisy machine slows all.

`make bench` runs it as root. It needs tests/, examples/ and benchmarks/ on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import compileall
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from engines import gauges
from engines.calls import warm_up
from engines.inputs import registry, write_contexts
from engines.peers import subjects
from engines.report import save, table, text
from engines.rows import Row, rows, set_up, tear_down, write_archives
from engines.samples import Outcome, Result, Sample
from engines.subjects import Subject, failure

import lamina
from base import busybox_tar
from lamina.errors import LaminaError

SECONDS = 15  # that a subject may spend on one row, preparation included; what is slower is measured less often
_INSIDE = "LAMINA_BENCH_INSIDE"  # set in namespaces of our own


def main() -> None:
    """Measure, print each row when it is done, and write the files of `report.save`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="measure only the rows whose name holds one of these, by comma")
    parser.add_argument(
        "--engines", default="", help="measure only the subjects whose name holds one of these, by comma"
    )
    parser.add_argument("--output", type=Path, default=Path("build/bench"), help="folder for the figures")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("the bench needs root: other engines do")
    if _INSIDE not in os.environ:
        _enter_namespaces()
    compileall.compile_dir(Path(lamina.__file__).parent, quiet=1)  # as pip does when it installs the package
    options.output.mkdir(parents=True, exist_ok=True)
    results: list[Result] = []
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # engines in another root do not run as this user alone
        busybox_tar(folder / "base.tar")
        write_contexts(folder)
        with registry(folder) as image, subjects(folder) as everyone:
            chosen = [subject for subject in everyone if _is_chosen(subject.name, options.engines)]
            try:
                ready = _set_up(chosen, folder)
                selected = [row for row in rows(folder, image) if _is_chosen(row.name, options.only)]
                if _is_chosen("idle engine", options.only):
                    results += gauges.idle(ready)
                    print("\n".join(map(text, results)), flush=True)
                write_archives(ready[0], folder)
                for row in selected:
                    results.append(_measure(row, ready, options.rounds))
                    print(text(results[-1]), flush=True)
            finally:
                for subject in {subject.engine: subject for subject in chosen}.values():
                    tear_down(subject)
    save(results, options.output)
    print(f"\n{table(results)}\n{time.monotonic() - begin:.0f} s; every sample is in {options.output}")


def _is_chosen(name: str, texts: str) -> bool:
    return any(text in name for text in texts.split(","))


def _enter_namespaces() -> None:
    """Start again where only the loopback is up: dockerd's rules of the firewall stay away from the machine."""
    os.environ[_INSIDE] = "1"
    script = 'ip link set lo up && exec "$@"'
    command = ["unshare", "--net", "--mount", "sh", "-c", script, "sh", sys.executable, *sys.argv]
    os.execvp("unshare", command)


def _set_up(subjects: Sequence[Subject], folder: Path) -> list[Subject]:
    """Set each engine up once, and leave out those that cannot do the least."""
    working: dict[str, bool] = {}
    for subject in subjects:
        if subject.engine in working:
            continue
        try:
            set_up(subject, folder)
            working[subject.engine] = True
        except subprocess.CalledProcessError as error:
            working[subject.engine] = False
            print(f"left out: {subject.name}: {failure(error)}", flush=True)
    ready = [subject for subject in subjects if working[subject.engine]]
    for subject in ready:
        if subject.client is not None:
            warm_up(subject.client)
    return ready


def _measure(row: Row, subjects: Sequence[Subject], rounds: int) -> Result:
    """Take the samples of each subject that the row is for, in turn; of one that fails, note why."""
    outcomes: dict[str, Outcome] = {subject.name: [] for subject in subjects if row.is_for(subject)}
    spent, longest = dict.fromkeys(outcomes, 0.0), dict.fromkeys(outcomes, 0.0)
    for _ in range(rounds):
        for subject in subjects:
            samples = outcomes.get(subject.name)
            if isinstance(samples, list) and spent[subject.name] + longest[subject.name] < SECONDS:
                begin = time.monotonic()
                outcome = _sample(row, subject)
                seconds = time.monotonic() - begin
                spent[subject.name] += seconds
                longest[subject.name] = max(longest[subject.name], seconds)
                if isinstance(outcome, str):
                    outcomes[subject.name] = outcome
                else:
                    samples.append(outcome)
    return Result(row.name, row.unit, row.targets, row.limit, outcomes)


def _sample(row: Row, subject: Subject) -> Sample | str:
    measure = row.containerd if subject.is_containerd and row.containerd is not None else row.measure
    try:
        row.prepare(subject)
        os.sync()
        return measure(subject)
    except subprocess.CalledProcessError as error:
        return f"fails: {failure(error)}"
    except LaminaError as error:
        return f"fails: {error}"


if __name__ == "__main__":
    main()
