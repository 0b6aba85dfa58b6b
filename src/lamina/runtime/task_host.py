"""What every task needs of its engine: the OCI runtime program, the cgroups, and a way to start monitors.

crun is preferred: it starts a container in a quarter of runc's time. Whether a program works is tried with a real
container of one tiny process, since versions and cgroup layouts disagree in ways that no version number tells.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lamina.errors import Unavailable
from lamina.linux.files import private_directory
from lamina.runtime.apparmor import AppArmor
from lamina.runtime.cgroups import layout as cgroup_layout
from lamina.runtime.cgroups.layout import Layout
from lamina.runtime.monitor import protocol
from lamina.runtime.monitor.protocol import Job
from lamina.runtime.monitors import Spawner, Watcher
from lamina.runtime.process import Process
from lamina.runtime.seccomp import FilterCache
from lamina.runtime.spec import ProcessSpec
from lamina.runtime.users import opens_account_files
from lamina.runtime.warmth import Warmth

CANDIDATES = ("crun", "runc", "youki")

# exit(0) in machine code, by machine and with its ELF number
_EXIT = {
    "x86_64": (62, bytes.fromhex("31ffb83c0000000f05")),
    "aarch64": (183, bytes.fromhex("000080d2a80b80d2010000d4")),
}


@dataclass(frozen=True, slots=True)
class Program:
    """A runtime program that works. `hide` names mounts it must not see; `reason` says why it was chosen;
    `opens_accounts` whether it opens the image's files of users, see `account_files`."""

    name: str
    path: str
    hide: tuple[str, ...]
    reason: str
    opens_accounts: bool = False

    @property
    def sealable(self) -> str:
        """Return the path of a program that does not copy itself when it is executed from a sealed copy (crun,
        src/libcrun/cloned_binary.c); "" for others."""
        return self.path if self.name == "crun" else ""


def choose_program(requested: str | None, layout: Layout, spawner: Spawner, scratch: Path) -> Program:
    """Return the program named `requested` (a name or path), else the first candidate that works.

    `scratch` is a directory for the trial container, removed afterwards. Raise Unavailable, naming what was tried.
    """
    failures: list[str] = []
    for program in _installed((requested,) if requested else CANDIDATES, layout):
        problem = _try(program, spawner, scratch)
        if not problem:
            reason = f"{program.reason}; passed over: {'; '.join(failures)}" if failures else program.reason
            version = spawner.run((program.path, "--version"), program.hide).stdout.decode(errors="replace")
            return replace(program, reason=reason, opens_accounts=opens_account_files(version))
        failures.append(f"{program.name} does not work here: {problem}")
    if requested and not failures:
        raise Unavailable(f"the OCI runtime {requested!r} is not installed", program=requested)
    if failures:
        raise Unavailable("; ".join(failures), advice="Install another OCI runtime: crun or runc")
    raise Unavailable("no OCI runtime is installed", advice=f"Install one of {', '.join(CANDIDATES)}")


def _installed(names: tuple[str, ...], layout: Layout) -> Iterator[Program]:
    for name in names:
        path = shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin:/usr/local/sbin")
        if path is None:
            continue
        base = os.path.basename(path)
        if base == "crun" and layout.mode == "hybrid":
            reason = "crun, kept from seeing the v2 hierarchy beside the v1 ones, which it refuses"
            yield Program(base, path, (str(layout.unified),), reason)
        yield Program(base, path, (), base)


def tiny_program(machine: str) -> bytes | None:
    """Return a static ELF executable that exits with 0, or None for machines we cannot write one for."""
    if machine not in _EXIT:
        return None
    number, code = _EXIT[machine]
    base, size = 0x400000, 120 + len(code)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = ident + struct.pack("<HHIQQQIHHHHHH", 2, number, 1, base + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000)
    return header + segment + code


def _try(program: Program, spawner: Spawner, scratch: Path) -> str:
    """Run a container with `program`. Return what went wrong, or nothing."""
    executable = tiny_program(platform.machine())
    if executable is None or os.geteuid() != 0:
        return ""
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "rootfs").mkdir(parents=True)
    for folder in ("proc", "dev", "sys"):
        (scratch / "rootfs" / folder).mkdir()
    command = scratch / "rootfs/exit"
    command.write_bytes(executable)
    command.chmod(0o755)
    name = f"probe-{os.getpid()}"
    (scratch / "config.json").write_text(json.dumps(_trial(name)))
    try:
        state = ["--root", str(scratch / "state")]
        done = spawner.run([program.path, *state, "run", "--bundle", str(scratch), name], program.hide)
        if done.exit_code:
            spawner.run([program.path, *state, "delete", "--force", name], program.hide)
            return done.stderr.decode(errors="replace").strip() or f"exit code {done.exit_code}"
        return ""
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _trial(name: str) -> dict[str, object]:
    return {
        "ociVersion": "1.0.2",
        "process": {"args": ["/exit"], "cwd": "/", "env": [], "user": {"uid": 0, "gid": 0}},
        "root": {"path": "rootfs"},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {
            "cgroupsPath": f"/lamina/{name}",
            "namespaces": [{"type": kind} for kind in ("mount", "pid", "ipc", "uts")],
        },
    }


class TaskHost:
    """Starts monitors below `exec_root`, with the OCI runtime `binary` (a name or path), or the best one found.

    A start that takes the program longer than `start_seconds` is ended. Thread-safe. `close` leaves running tasks
    alone; it may be called twice.
    """

    def __init__(
        self, exec_root: Path, binary: str | None = None, start_seconds: float = protocol.START_SECONDS
    ) -> None:
        private_directory(exec_root)
        self.exec_root = exec_root
        self._scratch = exec_root / "probe"
        shutil.rmtree(self._scratch, ignore_errors=True)  # of an engine that died while it tried programs
        self.layout = cgroup_layout.detect()
        self.apparmor = AppArmor()
        self._binary = binary
        self.start_seconds = start_seconds
        self._program: Program | None = None
        self._filters: FilterCache | None = None
        self._lock = threading.Lock()
        self.spawner = Spawner(exec_root)
        self.watcher = Watcher()
        self.warmth = Warmth(self.layout.hierarchies)

    @property
    def program(self) -> Program:
        """Return the runtime program in use, chosen at first need. Raise Unavailable when none works."""
        with self._lock:
            if self._program is None:
                self._program = choose_program(self._binary, self.layout, self.spawner, self._scratch)
            return self._program

    @property
    def filters(self) -> FilterCache:
        """Return the compiled seccomp filters for the program in use."""
        if self._filters is None:
            self._filters = FilterCache(self.exec_root / "seccomp", self.program.path, self.exec_root / "state")
        return self._filters

    def confined(self, spec: ProcessSpec) -> ProcessSpec:
        """Return `spec` with the AppArmor profile that it starts with. Raise what `AppArmor.resolve` does."""
        return replace(spec, apparmor=self.apparmor.resolve(spec.apparmor))

    def fork(self, job: Job, process: Process, connections: Sequence[socket.socket] = ()) -> None:
        """Start the monitor that `job` tells about, and have `process` watch it. It serves `connections` in their
        order, before all others. Raise Unavailable."""
        ours, theirs = socket.socketpair()
        try:
            with theirs, protocol.listen(job.directory) as listener:
                monitor = self.spawner.monitor(job, listener, [theirs, *connections], self.program.sealable)
        except BaseException:
            ours.close()
            raise
        process.adopt(ours, monitor)

    def command(self, program: Program, directory: Path, *arguments: str) -> tuple[str, ...]:
        """Return a command line of the runtime program whose messages go to `directory`."""
        log = ("--log", str(directory / protocol.RUNTIME_LOG), "--log-format", "json")
        return (program.path, "--root", str(self.exec_root / "state"), *log, *arguments)

    def forget(self) -> None:
        """Remove the compiled filters, which only save time, and the runtime directory, if no task is left in it."""
        with suppress(OSError):  # it is in use
            (self.exec_root / "state").rmdir()
            if os.listdir(self.exec_root) in ([], ["seccomp"]):
                shutil.rmtree(self.exec_root)

    def close(self) -> None:
        """Let go of the monitors' server and of the thread that watches them."""
        self.watcher.close()
        self.spawner.close()
