"""A first look at speed: lamina beside dockerd's classic builder, in one run on one machine (root).

Each row is a whole command of the same real client against both daemons, in turn, so that a noisy machine slows both;
the figures are medians, the last column the median of the ratios pair by pair. `lamina` in the middle column uses
lamina's own command line, which reads a local context in place.

`make bench` runs it; it borrows from tests/ and examples/, which therefore must be on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from base import busybox_tar
from support.daemons import Daemon, dockerd, lamina_daemon

SMALL_FILES = 20_000
BIG_LAYERS = 9
BIG_LAYER_BYTES = 30 << 20


@dataclass(frozen=True)
class Work:
    """One row: what is timed, and what must happen before each time. `own` is the same for lamina's command line."""

    name: str
    prepare: Callable[[Daemon], None]
    arguments: tuple[str, ...]
    stdin: Path | None = None
    wanted: float = 1.0  # how many times as fast as dockerd it shall be


def run(daemon: Daemon, program: list[str], arguments: tuple[str, ...], stdin: Path | None) -> float:
    """Seconds that one whole command takes; its output goes to a file on the same disk."""
    environment = {**os.environ, "DOCKER_BUILDKIT": "0", "DOCKER_HOST": daemon.host, "LAMINA_HOST": daemon.host}
    environment["DOCKER_CONFIG"] = str(daemon.folder)
    with open(stdin or os.devnull, "rb") as source, (daemon.folder / "out").open("wb") as sink:
        start = time.perf_counter()
        subprocess.run([*program, *arguments], stdin=source, stdout=sink, env=environment, check=True)
        return time.perf_counter() - start


def measure(work: Work, reference: Daemon, lamina: Daemon, rounds: int) -> str:
    theirs, ours, own = list[float](), list[float](), list[float]()
    for _ in range(rounds):
        for daemon, program, times in (
            (reference, ["/usr/bin/docker"], theirs),
            (lamina, ["/usr/bin/docker"], ours),
            (lamina, [sys.executable, "-m", "lamina"], own),
        ):
            work.prepare(daemon)
            os.sync()
            times.append(run(daemon, program, work.arguments, work.stdin))
    ratio = statistics.median(a / b for a, b in zip(theirs, ours, strict=True))
    seconds = "  ".join(f"{statistics.median(times):8.2f}" for times in (theirs, ours, own))
    verdict = "" if ratio >= work.wanted else "  below"
    return f"{work.name:<44}{seconds}  {ratio:6.1f}x  (wanted {work.wanted:g}x){verdict}"


def nothing(daemon: Daemon) -> None:
    del daemon


def without_image(name: str) -> Callable[[Daemon], None]:
    def prepare(daemon: Daemon) -> None:
        daemon.docker("rmi", "-f", name, check=False)

    return prepare


def write_contexts(folder: Path) -> None:
    many = folder / "many"
    for number in range(SMALL_FILES):
        path = many / "files" / f"{number // 200:03}" / f"{number:05}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"file {number}\n" * (1 + number % 40))
    (many / "Dockerfile").write_text("FROM base\nCOPY files /files\n")
    steps = folder / "steps"
    steps.mkdir()
    (steps / "Dockerfile").write_text("FROM base\n" + "".join(f"RUN echo {n} > /step{n}\n" for n in range(10)))
    big = folder / "big"
    big.mkdir()
    source = random.Random(7)
    for number in range(BIG_LAYERS):
        (big / f"part{number}").write_bytes(source.randbytes(BIG_LAYER_BYTES))
    lines = "".join(f"COPY part{n} /part{n}\n" for n in range(BIG_LAYERS))
    (big / "Dockerfile").write_text("FROM base\n" + lines)


def works(folder: Path) -> list[Work]:
    def build(name: str) -> tuple[str, ...]:
        return ("build", "-q", "--no-cache", "--network", "none", "-t", name, str(folder / name))

    return [
        Work(f"build: COPY of {SMALL_FILES} small files, no cache", nothing, build("many"), wanted=4),
        Work("build: 10 trivial RUN steps, no cache", nothing, build("steps"), wanted=3),
        Work("build: the same, all cached", nothing, ("build", "-q", "-t", "steps", str(folder / "steps"))),
        Work("save of 270 MB", nothing, ("save", "big"), wanted=2),
        Work("load of 270 MB", without_image("big"), ("load", "-q"), folder / "big.tar", wanted=2),
        Work("run --rm --network none true", nothing, ("run", "--rm", "--network", "none", "base", "true")),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="run only the rows whose name holds this text")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("benchmarks beside dockerd need root")
    with tempfile.TemporaryDirectory(prefix="bench-") as name, dockerd() as reference, lamina_daemon() as lamina:
        folder = Path(name)
        busybox_tar(folder / "base.tar")
        write_contexts(folder)
        for daemon in (reference, lamina):
            daemon.docker("import", str(folder / "base.tar"), "base")
            daemon.docker("build", "-q", "--network", "none", "-t", "big", str(folder / "big"))
        (folder / "big.tar").write_bytes(reference.docker("save", "big").stdout)
        print(f"{'seconds, medians':<44}{'dockerd':>8}  {'lamina':>8}  {'own cli':>8}")
        for work in works(folder):
            if options.only in work.name:
                print(measure(work, reference, lamina, options.rounds), flush=True)


if __name__ == "__main__":
    main()
