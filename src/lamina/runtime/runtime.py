"""Containers as tasks: made from a spec and a root directory, run by an OCI runtime beside a monitor of their own.

What is known of a task lies in `exec_root/<id>/`, so that a new engine finds it again after a crash.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lamina.errors import Conflict, InvalidInput, NotFound, Unsupported
from lamina.progress import ignore
from lamina.runtime.monitor import protocol
from lamina.runtime.monitor.protocol import Job, LogSpec
from lamina.runtime.process import OnExit
from lamina.runtime.spec import ContainerSpec
from lamina.runtime.task import Task
from lamina.runtime.task_host import Program, TaskHost


class Runtime(TaskHost):
    """Make tasks, and find again those that outlived an earlier engine; made and closed as a TaskHost is."""

    def create(
        self,
        id: str,
        spec: ContainerSpec,
        rootfs: Path | None,
        log: LogSpec | None = None,
        on_exit: OnExit = ignore,
        *,
        on_oom: Callable[[], None] = ignore,
        stdin: bool = False,
        stdin_once: bool = True,
    ) -> Task:
        """Prepare a task and its monitor; nothing runs yet, clients may attach.

        `rootfs` is the mounted root; with None, `Task.configure` tells it (and the whole spec anew, but for streams and
        cgroup) before the start. `stdin` keeps the task's input open for clients, otherwise it is /dev/null; with
        `stdin_once` the end of the first client's input ends it. `on_oom` is called when memory ran out. Raise Conflict
        when a task of that id is there, InvalidInput for a cgroup parent that leads upwards, Unsupported without root.
        """
        if os.geteuid() != 0:
            advice = "Images, and builds without RUN, need no privilege"
            raise Unsupported("running a container needs root, which this engine has not", advice=advice)
        if ".." in spec.cgroup_parent.split("/"):  # which runtime programs follow, out of the cgroup file system too
            raise InvalidInput(f"the cgroup parent {spec.cgroup_parent!r} holds '..'", advice="Name it from its root.")
        program = self.program
        directory = self.exec_root / id
        self._claim(id, directory)
        try:
            cgroup = os.path.join(spec.cgroup_parent or "/lamina", id)
            job = self._job(program, id, directory, spec, cgroup, log, stdin, stdin_once)
            protocol.write_atomically(str(directory / protocol.JOB_FILE), {"cgroup": cgroup})
            task = Task(self, id, directory, cgroup, on_exit, on_oom)
            self.fork(job, task)
            if rootfs is not None:
                task.configure(spec, rootfs)
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
        return task

    def _claim(self, id: str, directory: Path) -> None:
        """Make the task's directory; what an earlier task of that id left is cleared away if it has ended."""
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
            state=str(self.exec_root / "state" / id),
            start_seconds=self.start_seconds,
            owner=spec.userns.ids.root if spec.userns else None,
        )

    def recover(self, id: str, on_exit: OnExit = ignore, *, on_oom: Callable[[], None] = ignore) -> Task:
        """Return the task of that id as an earlier engine left it: running, ended (see `status`), or never started
        (`pid` 0 and no status). Where its monitor was killed, whatever is left of it is ended here.

        Raise NotFound when there is none. `on_exit` is called for ends from now on.
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
