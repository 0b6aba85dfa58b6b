"""One monitor: starts the task through the OCI runtime, keeps its streams, and tells how it ended."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import struct
import termios
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from lamina.runtime.monitor import protocol
from lamina.runtime.monitor.cgroup import OomWatch, kill_all, oom_kills, remove
from lamina.runtime.monitor.loop import READ, Loop
from lamina.runtime.monitor.output import Output
from lamina.runtime.monitor.peers import Peers
from lamina.runtime.monitor.programs import Console, Launch, end_descendants, spawn, wait_at_most
from lamina.runtime.monitor.protocol import Job
from lamina.runtime.monitor.streams import Input

DRAIN_SECONDS = 2.0  # how long output may still come after the exit, from processes that inherited it (as Docker)
UNWANTED_SECONDS = 3.0  # how long a start that nobody wants any more may go on
DELETE_SECONDS = 10.0  # how long the runtime program may take to forget a task
HANGING_SECONDS = 1.0  # the same, for one that hung at the start and was killed
LINGER_SECONDS = 30.0  # how long slow clients may take to fetch the rest

Answer = Callable[[dict[str, Any]], None]


class Monitor:
    """States: created → starting → running → ended. A start that fails leads to ended as well."""

    def __init__(self, job: Job, listener: socket.socket, program: int = -1) -> None:
        """`program` is a descriptor of the runtime program, where there is one, to be executed instead of the file that
        `job` names."""
        self._job = job
        self._program = program
        self._loop = Loop()
        self._output = Output(self._loop, job.log, self._last_client_gone)
        self._input: Input | None = None
        self._given: list[int] = []  # the task's ends of the pipes, until it has them
        self._sources: list[tuple[int, str]] = []
        self._console: Console | None = None
        self._master = -1
        self._launching = 0
        self._unwanted = False
        self._cut = ""  # why the start was ended: "late" or "asked"
        self._pid = 0
        self._ended: dict[int, int] = {}  # wait statuses of adopted processes seen before the task's pid was known
        self._answer: Answer | None = None
        self._oom: OomWatch | None = None
        self._exit: dict[str, Any] | None = None
        self._cleaned_up = False
        self._prepare_streams()
        self._peers = Peers(self._loop, listener, self)

    def run(self, connections: Sequence[socket.socket]) -> None:
        """Serve `connections`, of which the first one watches, and whoever connects, until the task has ended."""
        self._loop.watch_children(self._child_ended)
        watching, *asking = connections
        self._peers.add_watcher(watching)
        for connection in asking:
            self._peers.hear_now(connection)
        self._loop.run()

    # -- what peers ask -----------------------------------------------------------------------------------------

    @property
    def output(self) -> Output:
        return self._output

    @property
    def input(self) -> Input | None:
        return self._input

    @property
    def raw(self) -> bool:
        return self._job.terminal

    def state(self) -> dict[str, Any]:
        return {"pid": self._pid, "exit": self._exit, "monitor": os.getpid()}

    def start(self, answer: Answer) -> None:
        """Run the OCI runtime. Answer when the task runs or has failed to."""
        if self._launching or self._pid or self._exit:
            answer({"error": "already started"})
            return
        self._answer = answer
        with suppress(FileNotFoundError):
            os.unlink(self._path(protocol.PID_FILE))
        command = list(self._job.run)
        if self._job.terminal:
            console = self._console = Console(self._job.directory)
            # Taken as soon as it comes, so that its size is right before the process looks.
            self._loop.watch(console.fileno(), READ, lambda events: self._try_terminal(console))
            command = [part.replace("{console}", console.path) for part in command]
        stdio = (self._given[0], self._given[1], self._given[2]) if self._given else (-1, -1, -1)
        mounts = self._path(protocol.MOUNTS_FILE) if self._job.delete else ""
        launch = Launch(command, self._job.directory, self._job.hide, mounts)
        launched = self._launching = spawn(launch, stdio, self._program)
        self._loop.later(self._job.start_seconds, lambda: self._overdue(launched, "late"))

    def abort(self) -> bool:
        """End a start that is on its way, with everything it made; False when there is none."""
        if self._launching:
            self._cut_off("asked")
        return bool(self._cut)

    def _overdue(self, launched: int, why: str) -> None:
        if launched == self._launching:
            self._cut_off(why)

    def _cut_off(self, why: str) -> None:
        """The runtime hangs, so kill it. Its exit then runs `_launched`."""
        self._cut = self._cut or why
        kill_all(self._job.cgroups, signal.SIGKILL)
        end_descendants()

    def resize(self, height: int, width: int) -> None:
        """Set the terminal's size. The kernel keeps 16 bits of each number (struct winsize), as dockerd does."""
        if self._master >= 0:
            size = struct.pack("HHHH", height & 0xFFFF, width & 0xFFFF, 0, 0)
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)

    def kill(self, number: int, all: bool) -> bool:
        """Signal the task, or everything in its cgroup; False when it does not run."""
        if not self._pid or self._exit:
            return False
        if all:
            kill_all(self._job.cgroups, number)
        else:
            os.kill(self._pid, number)
        return True

    def quit(self) -> None:
        """End a monitor whose task nobody wants to start. One that an engine began to start before it died may be on
        its way, or run by now: it is ended first."""
        if self._launching:
            self._unwanted = True
            launched = self._launching
            self._loop.later(UNWANTED_SECONDS, lambda: self._overdue(launched, "asked"))
        elif self._pid and not self._exit:
            self.kill(signal.SIGKILL, bool(self._job.delete))
        elif not self._pid:
            self._output.close()
            self._end()

    # -- the walk of a task -------------------------------------------------------------------------------------

    def _path(self, name: str) -> str:
        return os.path.join(self._job.directory, name)

    def _prepare_streams(self) -> None:
        """Make the pipes, and nothing else, for a task with users of its own.

        crun 1.8 gives a null device among its streams to the task's user. Such a task has the host's device, with which
        its user could do anything then.
        """
        if self._job.terminal:
            if self._job.stdin:
                self._input = Input(self._loop, -1, closable=False)
            if self._job.owner:
                self._given = [os.memfd_create("nothing") for _ in range(3)]  # of the runtime program alone
            return
        if self._job.stdin:
            reading, writing = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(writing, False)
            self._input = Input(self._loop, writing, closable=self._job.stdin_once)
        elif self._job.owner:
            reading, writing = os.pipe2(os.O_CLOEXEC)
            os.close(writing)
        else:
            reading = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        self._given.append(reading)
        for stream in ("stdout", "stderr"):
            reading, writing = os.pipe2(os.O_CLOEXEC)
            self._sources.append((reading, stream))
            self._given.append(writing)
        if self._job.owner:  # or the process could not open its /dev/stdout anew
            for fd in self._given:
                os.fchown(fd, *self._job.owner)

    def _child_ended(self, pid: int, status: int) -> None:
        if pid == self._launching:
            self._launching = 0
            self._launched(status)
        elif pid == self._pid:
            self._task_ended(status)
        else:
            self._ended[pid] = status

    def _launched(self, status: int) -> None:
        """Note the end of the runtime program: the task runs now, or it could not be started."""
        for fd in self._given:
            os.close(fd)
        self._given.clear()
        if status != 0:
            self._failed({"error": "runtime failed", "status": os.waitstatus_to_exitcode(status), "cut": self._cut})
            return
        try:
            with open(self._path(protocol.PID_FILE)) as file:
                self._pid = int(file.read())
            if self._console is not None:
                self._take_terminal(self._console)
            if self._job.terminal and self._master < 0:
                raise OSError("no terminal came")
        except (OSError, ValueError) as error:
            self._failed({"error": f"runtime gave nothing to hold: {error}", "status": 1})
            return
        for fd, stream in self._sources:
            self._output.read_from(fd, stream)
        self._tell_started()
        if self._pid in self._ended:
            self._task_ended(self._ended[self._pid])
        elif self._unwanted:
            self.kill(signal.SIGKILL, bool(self._job.delete))
        self._ended.clear()

    def _tell_started(self) -> None:
        if self._answer is not None:
            self._answer({"pid": self._pid})
        if self._job.delete:
            self._oom = OomWatch(self._loop, self._job.cgroups, lambda: self._peers.tell({"event": "oom"}))

    def _try_terminal(self, console: Console) -> None:
        """Take what the runtime program sends while it runs. It may be nothing: in an exec it opens whatever the
        container has as its /dev/ptmx, and fails."""
        try:
            self._take_terminal(console)
        except OSError:
            console.close()
            self._console = None

    def _take_terminal(self, console: Console) -> None:
        self._loop.forget(console.fileno())
        self._master = console.receive()
        console.close()
        self._console = None
        if self._job.console:
            self.resize(*self._job.console)
        self._sources.append((self._master, "stdout"))
        if self._input is not None:
            self._input.connect(os.dup(self._master))

    def _failed(self, message: dict[str, Any]) -> None:
        if message["status"] < 0:  # killed, by us or somebody else, it could not clear up after itself
            kill_all(self._job.cgroups, signal.SIGKILL)
            end_descendants()
        if self._pid:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        for fd, _ in self._sources:
            os.close(fd)
        if self._console is not None:
            self._loop.forget(self._console.fileno())
            self._console.close()
        if self._answer is not None:
            self._answer(message)
        self._exit = {"code": message["status"], "signal": 0, "oom": False, "failed": True, "time_ns": time.time_ns()}
        self._output.close()
        self._clean_up()

    def _task_ended(self, status: int) -> None:
        signalled = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        code = 128 + signalled if signalled else os.WEXITSTATUS(status)
        oom = oom_kills(self._job.cgroups) > 0 if self._job.delete else False
        self._exit = {"code": code, "signal": signalled, "oom": oom, "failed": False, "time_ns": time.time_ns()}
        if self._job.kill_rest:
            kill_all(self._job.cgroups, signal.SIGKILL)
        self._output.drain()
        self._finish_streams(time.monotonic() + DRAIN_SECONDS)

    def _finish_streams(self, deadline: float) -> None:
        if not self._output.ended and time.monotonic() < deadline:
            self._loop.later(0.01, lambda: self._finish_streams(deadline))
            return
        if self._input is not None:
            self._input.close()
        self._output.close()
        assert self._exit is not None
        with suppress(OSError):  # on a full disk those who listen now are told all the same
            protocol.write_atomically(self._path(protocol.EXIT_FILE), self._exit)
        self._peers.tell({"event": "exit", **self._exit})
        self._clean_up()

    def _clean_up(self) -> None:
        """Let the runtime program forget the task, then say so, and end when every client has its bytes."""
        if self._oom is not None:
            self._oom.close()
        if self._job.delete and not self._forget():
            pid = spawn(Launch(self._job.delete, self._job.directory, self._job.hide), (-1, -1, -1))
            with suppress(ChildProcessError):
                wait_at_most(pid, HANGING_SECONDS if self._cut else DELETE_SECONDS)
            remove(self._job.cgroups)  # which a runtime that was killed early does not know of
            if self._cut:  # a runtime that hung may have hung again
                shutil.rmtree(self._job.state, ignore_errors=True)
        self._cleaned_up = True
        self._peers.tell({"event": "deleted", "clients": len(self._output.clients)})
        self._loop.later(LINGER_SECONDS, self._end)
        if not self._output.clients:
            self._end()

    def _forget(self) -> bool:
        """Remove what the runtime program keeps of the ended task: its cgroups and its state directory (the same in
        crun and runc). That is all that its `delete` does, for a tenth of the time; False where it did not work."""
        if self._exit is None or self._exit["failed"] or not remove(self._job.cgroups):
            return False
        shutil.rmtree(self._job.state, ignore_errors=True)
        return not os.path.exists(self._job.state)

    def _last_client_gone(self) -> None:
        if self._cleaned_up:
            self._end()

    def _end(self) -> None:
        self._peers.close()
        self._loop.stop()
