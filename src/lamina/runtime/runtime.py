"""Containers as tasks: made from a spec and a root directory, run by an OCI runtime beside a monitor of their own.

What is known of a task lies in `exec_root/<id>/`, so that a new engine finds it again after a crash.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from lamina.errors import CommandFailed, Conflict, InvalidInput, LaminaError, NotFound, Unavailable, Unsupported
from lamina.runtime import bundle
from lamina.runtime.binary import Program, choose
from lamina.runtime.cgroups import layout as cgroup_layout
from lamina.runtime.cgroups.freezer import freeze
from lamina.runtime.cgroups.stats import Stats
from lamina.runtime.cgroups.stats import read as read_stats
from lamina.runtime.failure import explain, last_message
from lamina.runtime.filters import FilterCache
from lamina.runtime.monitor import protocol
from lamina.runtime.monitor.protocol import Job, LogFile
from lamina.runtime.spawner import Spawner
from lamina.runtime.spec import ContainerSpec, ProcessSpec, Resources
from lamina.runtime.task import ExitStatus, OnExit, Process, read_exit
from lamina.runtime.watcher import Watcher

LogSpec = LogFile


def _ignore_exit(status: ExitStatus) -> None:
    return


def _ignore_oom() -> None:
    return


class Runtime:
    """Runs tasks below `exec_root` with the OCI runtime `binary` (a name or path), or the best one found.

    Thread-safe. `close` lets go of everything and leaves running tasks alone; it may be called twice.
    """

    def __init__(self, exec_root: Path, binary: str | None = None) -> None:
        exec_root.mkdir(parents=True, exist_ok=True, mode=0o711)
        self.exec_root = exec_root
        self._scratch = exec_root / "probe"
        shutil.rmtree(self._scratch, ignore_errors=True)  # of an engine that died while it tried programs
        self.layout = cgroup_layout.detect()
        self._binary = binary
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

    def create(
        self,
        id: str,
        spec: ContainerSpec,
        rootfs: Path | None,
        log: LogSpec | None = None,
        on_exit: OnExit = _ignore_exit,
        *,
        on_oom: Callable[[], None] = _ignore_oom,
        stdin: bool = False,
        stdin_once: bool = True,
    ) -> Task:
        """Prepares a task and its monitor; nothing runs yet, clients may attach.

        `rootfs` is the mounted root; with None, `Task.configure` tells it (and the whole spec anew, but for streams and
        cgroup) before the start. `stdin` keeps the task's input open for clients, otherwise it is /dev/null;
        with `stdin_once` the end of the first client's input ends it. `on_oom` is called when memory ran out.
        Raises Conflict when a task of that id is there, Unsupported without root.
        """
        if os.geteuid() != 0:
            advice = "Images, and builds without RUN, need no privilege"
            raise Unsupported("running a container needs root, which this engine has not", advice=advice)
        program = self.program
        directory = self.exec_root / id
        self._claim(id, directory)
        try:
            cgroup = os.path.join(spec.cgroup_parent or "/lamina", id)
            job = self._job(program, id, directory, spec, cgroup, log, stdin, stdin_once)
            protocol.write_atomically(str(directory / protocol.JOB_FILE), {"job": job.dump(), "cgroup": cgroup})
            task = Task(self, id, directory, cgroup, on_exit, on_oom)
            self.fork(job, task)
            if rootfs is not None:
                task.configure(spec, rootfs)
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
        return task

    def _claim(self, id: str, directory: Path) -> None:
        """Makes the task's directory; what an earlier task of that id left is cleared away if it has ended."""
        try:
            directory.mkdir(mode=0o700)
        except FileExistsError:
            with suppress(NotFound):
                earlier = self.recover(id)
                if earlier.pid:
                    raise Conflict(f"a task named {id} exists", id=id) from None
                earlier.delete()
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(mode=0o700)

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

    def _job(
        self,
        program: Program,
        id: str,
        directory: Path,
        spec: ContainerSpec,
        cgroup: str,
        log: LogSpec | None,
        stdin: bool,
        stdin_once: bool,
    ) -> Job:
        console = ("--console-socket", "{console}") if spec.process.terminal else ()
        pid_file = ("--pid-file", str(directory / protocol.PID_FILE))
        run = self.command(program, directory, "run", "--bundle", str(directory), "--detach", *pid_file, *console, id)
        return Job(
            directory=str(directory),
            run=run,
            delete=self.command(program, directory, "delete", "--force", id),
            hide=program.hide,
            terminal=spec.process.terminal,
            console=spec.process.console_size,
            stdin=stdin,
            stdin_once=stdin_once,
            log=log,
            cgroups=tuple(map(str, self.layout.everywhere(cgroup))),
            kill_rest=spec.namespaces.pid != "private",
            hierarchies=self.layout.hierarchies,
            state=str(self.exec_root / "state" / id),
        )

    def recover(self, id: str, on_exit: OnExit = _ignore_exit, *, on_oom: Callable[[], None] = _ignore_oom) -> Task:
        """The task of that id as an earlier engine left it: running, ended (see `status`), or never started
        (`pid` 0 and no status). Where its monitor was killed, whatever is left of it is ended here.

        Raises NotFound when there is none. `on_exit` is called for ends from now on.
        """
        directory = self.exec_root / id
        try:
            cgroup = json.loads((directory / protocol.JOB_FILE).read_bytes())["cgroup"]
        except (OSError, ValueError, KeyError):
            shutil.rmtree(directory, ignore_errors=True)  # half made, or half deleted: nothing of it runs
            raise NotFound(f"no task named {id}", id=id) from None
        task = Task(self, id, directory, cgroup, on_exit, on_oom)
        try:
            task.watch()
        except OSError:
            task.find_ended()
        return task

    def close(self) -> None:
        self.watcher.close()
        self.spawner.close()


class Task(Process):
    """A container's first process, with its cgroup. Made by `Runtime.create` or `Runtime.recover`."""

    def __init__(
        self,
        runtime: Runtime,
        id: str,
        directory: Path,
        cgroup: str,
        on_exit: OnExit,
        on_oom: Callable[[], None],
    ) -> None:
        super().__init__(directory, runtime.watcher, on_exit, on_oom)
        self.id = id
        self._runtime = runtime
        self._cgroup = cgroup
        self._configured: tuple[ContainerSpec, Path] | None = None
        self._filter_key = ""

    def configure(self, spec: ContainerSpec, rootfs: Path) -> None:
        """Says what the task is to be, in place of what was said before; to be called before the start."""
        runtime = self._runtime
        document = bundle.render(spec, rootfs, self._cgroup, cgroup_v2=runtime.layout.v2)
        self._filter_key = runtime.filters.apply(document)
        (self._directory / "config.json").write_bytes(msgspec.json.encode(document))
        self._configured = spec, rootfs

    def start(self) -> int:
        """See Process; what the runtime compiled for it is kept for the next."""
        pid = super().start()
        self._runtime.filters.learn(self._filter_key, self.id)
        return pid

    def pause(self) -> None:
        """Freezes every process of the container."""
        freeze(self._runtime.layout, self._cgroup, True)

    def resume(self) -> None:
        """Lets them go on."""
        freeze(self._runtime.layout, self._cgroup, False)

    def stats(self) -> Stats:
        """What the container has used so far."""
        return read_stats(self._runtime.layout, self._cgroup)

    def processes(self) -> list[int]:
        """Ids in the host's namespace of all processes in the container."""
        layout = self._runtime.layout
        found = (cgroup_layout.processes(directory) for directory in layout.directories(self._cgroup).values())
        return next((pids for pids in found if pids), [])

    def update(self, limits: Resources) -> None:
        """Sets the limits that are not None. Raises CommandFailed with the runtime's words when one is refused,
        Conflict when the container has ended."""
        program = self._runtime.program
        command = self._runtime.command(program, self._directory, "update", "--resources", "-", self.id)
        done = self._runtime.spawner.run(command, program.hide, msgspec.json.encode(bundle.resources(limits)))
        if done.exit_code:
            self.check_alive()
            log = self._log_text()
            message = last_message(log) or done.stderr.decode(errors="replace").strip()
            raise CommandFailed(f"cannot update the container's limits: {message}", exit_code=done.exit_code)

    def check_alive(self) -> None:
        """Raises Conflict when the container has ended, which is seen here before its monitor tells of it."""
        if not self.processes():
            raise Conflict("the container has ended")

    def expect_exec(self) -> None:
        """Says that an exec is about to come, which makes its start quicker (see `monitor.warmth`); costs little."""
        with suppress(LaminaError):  # only a hint
            self._ask({"op": "warm"})

    def exec(
        self,
        exec_id: str,
        spec: ProcessSpec,
        on_exit: OnExit = _ignore_exit,
        *,
        stdin: bool = False,
    ) -> Exec:
        """Prepares another process in the running container; its `start` runs it. It has a monitor of its own.

        Raises Conflict when the container does not run.
        """
        if not self.pid:
            raise Conflict("the container is not running")
        program = self._runtime.program
        directory = self._directory / f"exec-{exec_id}"
        directory.mkdir(mode=0o700)
        try:
            (directory / "process.json").write_bytes(msgspec.json.encode(bundle.process(spec)))
            process = Exec(self._runtime, self, directory, spec, on_exit)
            self._runtime.fork(self._exec_job(program, directory, spec, stdin), process)
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
        return process

    def _exec_job(self, program: Program, directory: Path, spec: ProcessSpec, stdin: bool) -> Job:
        terminal = ("--tty", "--console-socket", "{console}") if spec.terminal else ()
        files = ("--pid-file", str(directory / protocol.PID_FILE), "--process", str(directory / "process.json"))
        run = self._runtime.command(program, directory, "exec", "--detach", *files, *terminal, self.id)
        return Job(
            directory=str(directory),
            run=run,
            hide=program.hide,
            terminal=spec.terminal,
            console=spec.console_size,
            stdin=stdin,
            hierarchies=self._runtime.layout.hierarchies,
        )

    def delete(self) -> None:
        """Forgets an ended or never started task; a second call does nothing. Raises Conflict while it runs."""
        if self.pid:
            raise Conflict("the task still runs", id=self.id)
        if self._status is None and not self._forgotten.is_set():
            self._quit()
        self._await_monitor()
        self._remove_directory()

    def find_ended(self) -> None:
        """Settles a task that has no monitor any more."""
        with suppress(OSError, ValueError):  # it never ran
            self._pid = int((self._directory / protocol.PID_FILE).read_text())
            self._started = True
        status = read_exit(self._directory)
        if status is None and self._started:
            status = self._lost()
        if status is not None:
            self._settle(status, tell=False)
        self._clear_state()
        self._forgotten.set()

    def _lost(self) -> ExitStatus:
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._pid = 0  # it may be anybody's by now
        status = super()._lost()
        self._clear_state()
        return status

    def _clear_state(self) -> None:
        program = self._runtime.program
        command = self._runtime.command(program, self._directory, "delete", "--force", self.id)
        self._runtime.spawner.run(command, program.hide)
        for directory in self._runtime.layout.everywhere(self._cgroup):
            cgroup_layout.remove(directory)

    def _log_text(self) -> str:
        try:
            return (self._directory / protocol.RUNTIME_LOG).read_text(errors="replace")
        except OSError:
            return ""

    def _explain(self) -> LaminaError:
        if self._configured is None:
            return InvalidInput("the task was not configured")
        spec, rootfs = self._configured
        return explain(spec.process, rootfs, spec.mounts, self._log_text())


class Exec(Process):
    """A process exec'd into a container. Its directory goes away with it."""

    def __init__(self, runtime: Runtime, task: Task, directory: Path, spec: ProcessSpec, on_exit: OnExit) -> None:
        super().__init__(directory, runtime.watcher, on_exit, _ignore_oom)
        self._task = task
        self._spec = spec

    def _gone(self) -> None:
        super()._gone()
        if self._started:
            self._remove_directory()

    def delete(self) -> None:
        """Drops an exec that was never started; does nothing to others."""
        if not self._started:
            self._quit()
            self._remove_directory()

    def _explain(self) -> LaminaError:
        root = Path(f"/proc/{self._task.pid}/root")
        log = self._directory / protocol.RUNTIME_LOG
        text = log.read_text(errors="replace") if log.exists() else ""
        self._remove_directory()
        try:
            self._task.check_alive()
        except Conflict as ended:
            return ended
        return explain(self._spec, root, (), text)
