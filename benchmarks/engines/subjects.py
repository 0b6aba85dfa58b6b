"""What is measured: an engine behind a command line, or an engine's API without one."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engines.samples import Sample
from lamina.client import Client

KEPT = "kept"  # a container that runs during the whole bench


@dataclass(frozen=True)
class Subject:
    """An engine with the command line that stands before it. `client` is set where the API is called instead.

    Subjects with the same `engine` share their images and containers. `builds_only` leaves a subject to the rows that
    build. `pid` is the engine's process, 0 where it has none.
    """

    name: str
    engine: str
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    client: Client | None = None
    builds_only: bool = False
    pid: int = 0

    @property
    def is_containerd(self) -> bool:
        """Return whether it is containerd, whose client has words of its own."""
        return self.engine.startswith("containerd")

    def measure(self, arguments: Sequence[str], stdin: Path | None, sink: Path) -> Sample:
        """Return the milliseconds a command takes, with its output in the file `sink`. Raise CalledProcessError."""
        with open(stdin or os.devnull, "rb") as source, sink.open("wb") as output:
            begin = time.perf_counter()
            child = subprocess.Popen(
                [*self.command, *arguments],
                stdin=source,
                stdout=output,
                stderr=subprocess.PIPE,
                env={**os.environ, **self.environment},
            )
            assert child.stderr is not None
            errors = child.stderr.read()
            _, status, usage = os.wait4(child.pid, 0)
            wall = time.perf_counter() - begin
        child.stderr.close()
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise subprocess.CalledProcessError(child.returncode, child.args, stderr=errors)
        return Sample(wall * 1000, (usage.ru_utime + usage.ru_stime) * 1000)

    def call(self, work: Callable[[Client], object]) -> Sample:
        """Return the milliseconds that calls of the API take."""
        assert self.client is not None
        begin, used = time.perf_counter(), time.process_time()
        work(self.client)
        return Sample((time.perf_counter() - begin) * 1000, (time.process_time() - used) * 1000)

    def prepare(self, *arguments: str, check: bool = True) -> str:
        """Run a command that is not measured, and return its output. Raise CalledProcessError unless `check` is off."""
        done = subprocess.run(
            [*self.command, *arguments], env={**os.environ, **self.environment}, capture_output=True, check=False
        )
        if check and done.returncode:
            raise subprocess.CalledProcessError(done.returncode, done.args, stderr=done.stderr)
        return done.stdout.decode(errors="replace").strip()


def failure(error: subprocess.CalledProcessError) -> str:
    """Return the last line that a failed command wrote."""
    lines = (error.stderr or b"").decode(errors="replace").strip().splitlines()
    return lines[-1][:120] if lines else f"status {error.returncode}"
