"""What is measured: an engine behind a command line, or an engine's API without one."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import lamina
from lamina.client import Client
from support.daemons import dockerd, lamina_daemon

DOCKER = "/usr/bin/docker"  # Debian's
NEWER_DOCKER = "/usr/local/bin/docker"


@dataclass(frozen=True)
class Sample:
    """One time that a piece of work took: `wall` and `processor`, the client's own, in milliseconds."""

    wall: float
    processor: float


@dataclass(frozen=True)
class Subject:
    """An engine with the command line that stands before it. `client` is set where the API is called instead."""

    name: str
    command: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    client: Client | None = None

    def measure(self, arguments: Sequence[str], stdin: Path | None, sink: Path) -> Sample:
        """Return what one whole command takes, with its output in the file `sink`. Raise CalledProcessError."""
        with open(stdin or os.devnull, "rb") as source, sink.open("wb") as output:
            begin = time.perf_counter()
            child = subprocess.Popen(
                [*self.command, *arguments],
                stdin=source,
                stdout=output,
                stderr=subprocess.PIPE,
                env=os.environ | self.environment,
            )
            assert child.stderr is not None
            errors = child.stderr.read()
            _, status, usage = os.wait4(child.pid, 0)
            wall = time.perf_counter() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise subprocess.CalledProcessError(child.returncode, child.args, stderr=errors)
        return Sample(wall * 1000, (usage.ru_utime + usage.ru_stime) * 1000)

    def call(self, work: Callable[[Client], object]) -> Sample:
        """Return what calls of the API take."""
        assert self.client is not None
        begin, used = time.perf_counter(), time.process_time()
        work(self.client)
        return Sample((time.perf_counter() - begin) * 1000, (time.process_time() - used) * 1000)

    def prepare(self, *arguments: str, check: bool = True) -> None:
        """Run a command that is not measured."""
        done = subprocess.run(
            [*self.command, *arguments], env=os.environ | self.environment, capture_output=True, check=False
        )
        if check and done.returncode:
            raise subprocess.CalledProcessError(done.returncode, done.args, stderr=done.stderr)


@contextlib.contextmanager
def subjects() -> Iterator[list[Subject]]:
    """Yield all that this machine can measure, lamina first, each with a data root of its own."""
    with contextlib.ExitStack() as stack:
        own = stack.enter_context(lamina_daemon())
        clean = {"DOCKER_CONFIG": str(own.folder), "DOCKER_BUILDKIT": "0"}
        here = clean | {"DOCKER_HOST": own.host, "LAMINA_HOST": own.host}
        found = [Subject("lamina", (_own_command(),), here)]
        found += [Subject(f"{name} to lamina", (path,), here) for name, path in _clients()]
        found.append(Subject("lamina, API", (_own_command(),), here, stack.enter_context(lamina.connect(own.host))))
        if shutil.which("dockerd", path=f"{os.environ['PATH']}:/usr/sbin"):
            other = stack.enter_context(dockerd("--bridge", "", "--iptables=true"))
            there = clean | {"DOCKER_HOST": other.host}
            found.append(Subject("dockerd", (DOCKER,), there))
            found.append(Subject("dockerd, BuildKit", (DOCKER,), there | {"DOCKER_BUILDKIT": "1"}))
            found.append(Subject("dockerd, API", (DOCKER,), there, stack.enter_context(lamina.connect(other.host))))
        if podman := shutil.which("podman"):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pod-"))
            roots = ("--root", f"{folder}/root", "--runroot", f"{folder}/run", "--cgroup-manager", "cgroupfs")
            settings = Path(folder, "containers.conf")
            settings.write_text(_podman_settings())
            found.append(Subject("podman", (podman, *roots), {"CONTAINERS_CONF": str(settings)}))
        yield found


def _podman_settings() -> str:
    """Return settings with limits that this process may set, and a runtime that knows the machine's cgroups."""
    limits = '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
    is_hybrid = Path("/sys/fs/cgroup/unified").is_dir()  # crun refuses to start containers there
    return limits + ('[engine]\nruntime = "runc"\n' if is_hybrid else "")


def _own_command() -> str:
    """Return the installed script: `python -m lamina` takes longer to start."""
    return str(Path(sys.executable).with_name("lamina"))


def _clients() -> list[tuple[str, str]]:
    """Return Docker's clients of this machine by name."""
    names = []
    for path in (DOCKER, NEWER_DOCKER):
        if os.path.exists(path):
            text = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
            names.append((f"docker {text.split()[2].split('.')[0]}", path))
    return names
