"""lamina beside the other engines of this machine: every row in turn on each, so that a noisy machine slows all.

`make bench` runs it as root. It needs tests/, examples/ and benchmarks/ on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from engines.report import Outcome, save, text
from engines.rows import Row, rows, set_up, tear_down, write_archives, write_inputs
from engines.subjects import Subject, subjects

from base import busybox_tar
from lamina.errors import LaminaError

_INSIDE = "LAMINA_BENCH_INSIDE"  # set in namespaces of our own


def main() -> None:
    """Measure, print each row when it is done, and write bench.json and bench.svg."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="measure only the rows whose name holds this text")
    parser.add_argument("--output", type=Path, default=Path("build/bench"), help="folder for bench.json and bench.svg")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("the bench needs root: other engines do")
    if _INSIDE not in os.environ:
        _enter_namespaces()
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-") as name, subjects() as found:
        folder = Path(name)
        busybox_tar(folder / "base.tar")
        write_inputs(folder)
        try:
            ready = _set_up(found, folder)
            results: dict[str, dict[str, Outcome]] = {}
            for row in rows(folder):
                if options.only in row.name:
                    results[row.name] = _measure(row, ready, options.rounds)
                    print(text(row.name, results[row.name]), flush=True)
        finally:
            for subject in found:
                tear_down(subject)
        save(results, options.output)


def _enter_namespaces() -> None:
    """Start again where only the loopback is up: dockerd's rules of the firewall stay away from the machine."""
    os.environ[_INSIDE] = "1"
    script = 'ip link set lo up && exec "$@"'
    command = ["unshare", "--net", "--mount", "sh", "-c", script, "sh", sys.executable, *sys.argv]
    os.execvp("unshare", command)


def _set_up(found: list[Subject], folder: Path) -> list[Subject]:
    """Set each engine up once, and leave out those that cannot do the least."""
    ready: list[Subject] = []
    done: dict[str, bool] = {}
    for subject in found:
        engine = subject.environment.get("DOCKER_HOST", subject.name)
        if engine not in done:
            try:
                set_up(subject, folder)
                done[engine] = True
            except subprocess.CalledProcessError as error:
                done[engine] = False
                print(f"left out: {subject.name}: {_last_line(error)}", flush=True)
        if done[engine]:
            ready.append(subject)
    write_archives(ready[0], folder)
    return ready


def _measure(row: Row, found: list[Subject], rounds: int) -> dict[str, Outcome]:
    """Return the samples of each subject that the row is for, taken in turn; of one that fails, why."""
    results: dict[str, Outcome] = {s.name: [] for s in found if (s.client is not None) == row.api}
    for _ in range(rounds):
        for subject in found:
            samples = results.get(subject.name)
            if not isinstance(samples, list):
                continue
            try:
                row.prepare(subject)
                os.sync()
                samples.append(row.measure(subject))
            except subprocess.CalledProcessError as error:
                results[subject.name] = f"fails: {_last_line(error)}"
            except LaminaError as error:
                results[subject.name] = f"fails: {error}"
    return results


def _last_line(error: subprocess.CalledProcessError) -> str:
    lines = (error.stderr or b"").decode(errors="replace").strip().splitlines()
    return lines[-1][:120] if lines else f"status {error.returncode}"


if __name__ == "__main__":
    main()
