"""The processes of a container: its first one, a task with a cgroup of its own, and those exec'd beside it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from lamina.errors import CommandFailed, Conflict, InvalidInput, LaminaError
from lamina.formats.document import encode_json
from lamina.linux.user_namespaces import ids_of
from lamina.progress import ignore
from lamina.runtime import bundle
from lamina.runtime.cgroups import layout as cgroup_layout
from lamina.runtime.cgroups.control import freeze, lift
from lamina.runtime.cgroups.stats import Stats
from lamina.runtime.cgroups.stats import read as read_stats
from lamina.runtime.failure import EXECUTING, UNKNOWN, explain, last_message, read_log
from lamina.runtime.monitor import protocol
from lamina.runtime.monitor.protocol import Job
from lamina.runtime.monitor.rootmounts import ROOT_PLACE
from lamina.runtime.placement import place
from lamina.runtime.process import ExitStatus, OnExit, Process, Unlaunched, read_exit
from lamina.runtime.spec import ContainerSpec, ProcessSpec, Resources
from lamina.runtime.task_host import Program, TaskHost
from lamina.runtime.users import check_account_files


class Task(Process):
    """A container's first process, with its cgroup. Made by `Runtime.create` or `Runtime.recover`."""

    def __init__(
        self,
        host: TaskHost,
        id: str,
        directory: Path,
        cgroup: str,
        on_exit: OnExit,
        on_oom: Callable[[], None],
    ) -> None:
        super().__init__(directory, host.watcher, on_exit, on_oom)
        self.id = id
        self._host = host
        self._cgroup = cgroup
        self._configured: tuple[ContainerSpec, Path] | None = None
        self._filter_key = ""

    def configure(self, spec: ContainerSpec, rootfs: Path) -> None:
        """Say what the task is to be, in place of what was said before; to be called before the start.

        Raise what `TaskHost.confined` does.
        """
        host = self._host
        spec = replace(spec, process=host.confined(spec.process))
        placement = place(spec, rootfs)
        root = Path(ROOT_PLACE) if spec.userns else rootfs
        document = bundle.render(placement.left(spec), root, self._cgroup, cgroup_v2=host.layout.v2)
        self._filter_key = host.filters.apply(document)
        (self._directory / "config.json").write_bytes(encode_json(document))
        (self._directory / protocol.MOUNTS_FILE).write_bytes(encode_json(placement.document(rootfs, spec.userns)))
        self._configured = spec, rootfs

    def start(self) -> int:
        """Start the process, and keep the filter that the runtime compiled for it. Raise what `Exec.start` raises."""
        if self._configured is not None and self._host.program.opens_accounts:
            spec, rootfs = self._configured
            check_account_files(rootfs, spec.mounts)
        with self._host.warmth.starting():
            pid = super().start()
        self._host.filters.learn(self._filter_key, self.id)
        return pid

    def pause(self) -> None:
        """Freeze every process of the container."""
        freeze(self._host.layout, self._cgroup, True)

    def resume(self) -> None:
        """Unfreeze every process of the container."""
        freeze(self._host.layout, self._cgroup, False)

    def stats(self) -> Stats:
        """Return what the container has used so far."""
        return read_stats(self._host.layout, self._cgroup)

    def processes(self) -> list[int]:
        """Return ids in the host's namespace of all processes in the container."""
        layout = self._host.layout
        lists = (cgroup_layout.processes(directory) for directory in layout.directories(self._cgroup).values())
        return next((pids for pids in lists if pids), [])

    def update(self, limits: Resources) -> None:
        """Set the limits that are not None; -1 ends one. Raise CommandFailed with the runtime's words when one is
        refused, Conflict when the container has ended."""
        program = self._host.program
        others = lift(self._host.layout, self._cgroup, limits)
        if program.name == "crun":  # runc sets all that it remembers at each update, so it must hear of the end
            limits = others
        command = self._host.command(program, self._directory, "update", "--resources", "-", self.id)
        done = self._host.spawner.run(command, program.hide, msgspec.json.encode(bundle.resources(limits)))
        if done.exit_code:
            self.check_alive()
            log = self._log_text()
            message = last_message(log) or done.stderr.decode(errors="replace").strip()
            raise CommandFailed(f"cannot update the container's limits: {message}", exit_code=done.exit_code)

    def check_alive(self) -> None:
        """Raise Conflict when the container has ended, which is seen here before its monitor tells of it."""
        if not self.processes():
            raise Conflict("the container has ended")

    def expect_exec(self) -> None:
        """Say that an exec is about to come, which makes its start quicker (see `warmth`); costs little."""
        self._host.warmth.expect()

    def exec(
        self,
        exec_id: str,
        spec: ProcessSpec,
        on_exit: OnExit = ignore,
        *,
        stdin: bool = False,
    ) -> Exec:
        """Prepare another process in the running container; its `start` runs it, with a monitor of its own.

        Raise Conflict when the container does not run, and what `TaskHost.confined` does.
        """
        if not self.pid:
            raise Conflict("the container is not running")
        spec = self._host.confined(spec)
        program = self._host.program
        directory = self._directory / f"exec-{exec_id}"
        directory.mkdir(mode=0o700)
        try:
            (directory / "process.json").write_bytes(encode_json(bundle.process(spec)))
            job = self._exec_job(program, directory, spec, stdin)
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
        return Exec(self._host, self, directory, spec, job, on_exit)

    def _exec_job(self, program: Program, directory: Path, spec: ProcessSpec, stdin: bool) -> Job:
        terminal = ("--tty", "--console-socket", "{console}") if spec.terminal else ()
        files = ("--pid-file", str(directory / protocol.PID_FILE), "--process", str(directory / "process.json"))
        run = self._host.command(program, directory, "exec", "--detach", *files, *terminal, self.id)
        return Job(
            directory=str(directory),
            run=run,
            hide=program.hide,
            terminal=spec.terminal,
            console=spec.console_size,
            stdin=stdin,
            start_seconds=self._host.start_seconds,
            owner=self._root_user(),
        )

    def _root_user(self) -> tuple[int, int] | None:
        """Return who the container's root is on the host; None for root itself. Raise Conflict when it has ended."""
        try:
            ids = ids_of(self.pid)
        except OSError:
            raise Conflict("the container has ended") from None
        return ids.root if ids else None

    def delete(self) -> None:
        """Forget an ended or never started task; a second call does nothing. Raise Conflict while it runs."""
        if self.pid:
            raise Conflict("the task still runs", id=self.id)
        if self._status is None and not self._forgotten.is_set():
            self._quit()
        self._await_monitor()
        self._remove_directory()

    def find_ended(self) -> None:
        """Note the end of a task whose monitor is gone."""
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
        program = self._host.program
        command = self._host.command(program, self._directory, "delete", "--force", self.id)
        self._host.spawner.run(command, program.hide)
        for directory in self._host.layout.everywhere(self._cgroup):
            cgroup_layout.remove(directory)

    def _log_text(self) -> str:
        return read_log(self._directory / protocol.RUNTIME_LOG)

    def _explain(self) -> LaminaError:
        if self._configured is None:
            return InvalidInput("the task was not configured")
        spec, rootfs = self._configured
        refusal = self._directory / protocol.REFUSAL_FILE
        if refusal.exists():
            facts = json.loads(refusal.read_bytes())
            return InvalidInput(facts.pop("message"), **facts, exit_code=UNKNOWN)
        return explain(spec.process, rootfs, spec.mounts, self._log_text())


class Exec(Process):
    """A process exec'd into a container. Its directory goes away with it.

    Its monitor is made by the start, which hands it the attached clients and the request to start: nobody waits for
    the monitor in between.
    """

    def __init__(
        self, host: TaskHost, task: Task, directory: Path, spec: ProcessSpec, job: Job, on_exit: OnExit
    ) -> None:
        super().__init__(directory, host.watcher, on_exit, ignore)
        self._host = host
        self._task = task
        self._spec = spec
        self._job = job
        self._unlaunched: Unlaunched | None = Unlaunched()

    def attach(
        self, *, stdin: bool = True, stdout: bool = True, stderr: bool = True, detach_keys: bytes = b""
    ) -> socket.socket:
        if self._unlaunched is not None:
            return self._unlaunched.attach(stdin, stdout, stderr, detach_keys)
        return super().attach(stdin=stdin, stdout=stdout, stderr=stderr, detach_keys=detach_keys)

    def _begin(self) -> dict[str, Any]:
        unlaunched, self._unlaunched = self._unlaunched, None
        if unlaunched is None:
            return super()._begin()
        return unlaunched.start(lambda connections: self._host.fork(self._job, self, connections))

    def start(self) -> int:
        """Start the process. Raise what `Process.start` and `check_account_files` raise."""
        if self._host.program.opens_accounts:
            check_account_files(Path(f"/proc/{self._task.pid}/root"), ())
        with self._host.warmth.starting():
            return super().start()

    def _gone(self) -> None:
        super()._gone()
        if self._started:
            self._remove_directory()

    def delete(self) -> None:
        """Drop an exec that was never started; do nothing to others."""
        if not self._started:
            if self._unlaunched is None:
                self._quit()
            self._remove_directory()

    def _explain(self) -> LaminaError:
        root = Path(f"/proc/{self._task.pid}/root")
        text = read_log(self._directory / protocol.RUNTIME_LOG)
        self._remove_directory()
        try:
            self._task.check_alive()
        except Conflict as ended:
            return ended
        return explain(self._spec, root, (), text, EXECUTING)
