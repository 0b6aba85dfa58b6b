"""What every task needs of its engine: the OCI runtime program, the cgroups, and a way to start monitors."""

from __future__ import annotations

import os
import shutil
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from lamina.errors import Unavailable
from lamina.linux.files import private_directory
from lamina.runtime.apparmor import AppArmor
from lamina.runtime.binary import Program, choose
from lamina.runtime.cgroups import layout as cgroup_layout
from lamina.runtime.filters import FilterCache
from lamina.runtime.monitor import protocol
from lamina.runtime.monitor.protocol import Job
from lamina.runtime.process import Process
from lamina.runtime.spawner import Spawner
from lamina.runtime.spec import ProcessSpec
from lamina.runtime.watcher import Watcher


class Launcher:
    """Starts monitors below `exec_root`, with the OCI runtime `binary` (a name or path), or the best one found.

    A start that takes the program longer than `start_seconds` is ended.

    Thread-safe. `close` lets go of everything and leaves running tasks alone; it may be called twice.
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

    @property
    def program(self) -> Program:
        """The runtime program in use, chosen at first need. Raises Unavailable when none works."""
        with self._lock:
            if self._program is None:
                self._program = choose(self._binary, self.layout, self.spawner, self._scratch)
            return self._program

    @property
    def filters(self) -> FilterCache:
        """Compiled seccomp filters for the program in use."""
        if self._filters is None:
            self._filters = FilterCache(self.exec_root / "seccomp", self.program.path, self.exec_root / "state")
        return self._filters

    def confined(self, spec: ProcessSpec) -> ProcessSpec:
        """Return `spec` with the AppArmor profile that it starts with. Raises what `AppArmor.resolve` does."""
        return replace(spec, apparmor=self.apparmor.resolve(spec.apparmor))

    def fork(self, job: Job, process: Process) -> None:
        """Starts the monitor that `job` tells about, and has `process` watch it. Raises Unavailable."""
        with protocol.listen(job.directory) as listener:
            self.spawner.monitor(job, listener)
        try:
            process.watch()
        except OSError as error:
            raise Unavailable(f"the container's monitor does not start: {error}") from None

    def command(self, program: Program, directory: Path, *arguments: str) -> tuple[str, ...]:
        """A command line of the runtime program whose messages go to `directory`."""
        log = ("--log", str(directory / protocol.RUNTIME_LOG), "--log-format", "json")
        return (program.path, "--root", str(self.exec_root / "state"), *log, *arguments)

    def forget(self) -> None:
        """Remove the compiled filters, which only save time, and the runtime directory, if no task is left in it."""
        with suppress(OSError):  # it is in use
            (self.exec_root / "state").rmdir()
            if os.listdir(self.exec_root) in ([], ["seccomp"]):
                shutil.rmtree(self.exec_root)

    def close(self) -> None:
        """Lets go of the monitors' server and of the thread that watches them."""
        self.watcher.close()
        self.spawner.close()
