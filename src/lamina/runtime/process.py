"""A process that a monitor looks after: a container's first one, or one exec'd into a container."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamina.errors import Conflict, Internal, LaminaError, NotFound, Unavailable
from lamina.runtime.monitor import protocol
from lamina.runtime.monitors import Watcher

DELETE_SECONDS = 20.0
_ANSWER_SECONDS = protocol.START_SECONDS + 30  # the monitor ends a start that takes longer, and must clear up


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How a task ended. `code` is 128 + `signal` where a signal ended it; `finished_at` in nanoseconds since the
    epoch. `lost` says that the monitor died, so the code is made up (137)."""

    code: int
    signal: int = 0
    oom_killed: bool = False
    finished_at: int = 0
    lost: bool = False


OnExit = Callable[[ExitStatus], None]


def read_exit(directory: Path) -> ExitStatus | None:
    """Return the exit status that a monitor left in `directory`."""
    try:
        return _status(json.loads((directory / protocol.EXIT_FILE).read_bytes()))
    except (OSError, ValueError):
        return None


def _cut_off(why: str) -> LaminaError:
    if why == "asked":
        return Unavailable("the start was ended before the OCI runtime had finished it", exit_code=128)
    return Unavailable("the OCI runtime took too long to start the process and was ended", exit_code=128)


def _status(message: dict[str, Any]) -> ExitStatus:
    return ExitStatus(message["code"], message["signal"], message["oom"], message["time_ns"])


def _attach_request(stdin: bool, stdout: bool, stderr: bool, detach_keys: bytes) -> bytes:
    request = {"op": "attach", "stdin": stdin, "stdout": stdout, "stderr": stderr}
    return protocol.encode({**request, "detach_keys": detach_keys.hex()})


def _exchange(connection: socket.socket, request: dict[str, Any] | None, timeout: float | None) -> dict[str, Any]:
    """Return the monitor's answer to a request; None is one that has been sent. Raise Unavailable."""
    connection.settimeout(timeout)
    try:
        if request is not None:
            connection.sendall(protocol.encode(request))
        line = protocol.read_line(connection)
    except (ConnectionResetError, BrokenPipeError):
        line = b""
    except OSError as error:
        raise Unavailable(f"the container's monitor does not answer: {error}") from None
    if not line:
        return {"error": "the monitor is gone", "gone": True}
    answer: dict[str, Any] = json.loads(line)
    return answer


class Process:
    """What a container's first process and execs have in common. Made by Runtime; thread-safe.

    `on_exit` is called once, in a thread of its own, when a process that had started ends; not when it was found
    ended by `Runtime.recover`.
    """

    def __init__(self, directory: Path, watcher: Watcher, on_exit: OnExit, on_oom: Callable[[], None]) -> None:
        self._directory = directory
        self._watcher = watcher
        self._on_exit = on_exit
        self._on_oom = on_oom
        self._pid = 0
        self._started = False
        self._status: ExitStatus | None = None
        self._ended = threading.Event()
        self._lingers = False  # the monitor still serves clients that lag behind
        self._monitor = 0  # its process id
        self._watching: socket.socket | None = None
        self._forgotten = threading.Event()  # the runtime program has let go of it

    @property
    def pid(self) -> int:
        """Return the process id in the host's namespace; 0 before the start and after the end."""
        return self._pid if self._status is None else 0

    @property
    def status(self) -> ExitStatus | None:
        """Return how it ended, or None while it has not."""
        return self._status

    def watch(self) -> None:
        """Connect to the monitor. Raise OSError where there is none."""
        connection = protocol.connect(str(self._directory))
        connection.sendall(protocol.encode({"op": "watch"}))
        state = json.loads(protocol.read_line(connection) or b"{}")
        self._pid = state.get("pid") or 0
        self._monitor = state.get("monitor") or 0
        self._started = bool(self._pid)
        if state.get("exit"):
            self._settle(_status(state["exit"]), tell=False)
        self._watching = connection
        self._watcher.add(connection, self._told, self._gone, self._left)

    def adopt(self, connection: socket.socket, monitor: int) -> None:
        """Take over the connection to a monitor that was just made and has the process ID `monitor`."""
        self._monitor = monitor
        self._watching = connection
        self._watcher.add(connection, self._told, self._gone, self._left)

    def start(self) -> int:
        """Start the process and return its id. Raise Conflict when it was started before, CommandFailed or InvalidInput
        (see `failure.explain`) when it cannot be started, or Unavailable when that takes too long or is ended by
        `abort`: then it has ended for good."""
        self._started = True  # before the monitor can tell of the end
        try:
            answer = self._begin()
        except Exception:
            self._started = False
            raise
        if "error" in answer:
            self._started = False
            if "gone" in answer:
                raise Unavailable("the container's monitor has died")
            if "status" not in answer:
                raise Conflict("it has already been started")
            self._forgotten.wait(DELETE_SECONDS)
            raise _cut_off(answer["cut"]) if answer.get("cut") else self._explain()
        self._pid = answer["pid"]
        return self._pid

    def _begin(self) -> dict[str, Any]:
        """Have the monitor start the process. Return its answer."""
        return self._ask({"op": "start"}, timeout=_ANSWER_SECONDS)

    def abort(self) -> bool:
        """End a start that is on its way in another thread, which fails then; False when there is none."""
        return bool(self._ask({"op": "abort"}).get("ended"))

    def _explain(self) -> LaminaError:
        return Internal("the process did not start")

    def attach(
        self, *, stdin: bool = True, stdout: bool = True, stderr: bool = True, detach_keys: bytes = b""
    ) -> socket.socket:
        """Return a stream socket: output comes as Docker's 8-byte frames (as it is with a terminal), what is sent goes
        to the process, and shutting down the sending side ends its input. Output is complete when the socket ends.

        Works before the start, so nothing is missed. With a terminal the typed `detach_keys` close the socket.
        """
        connection = self._connect()
        connection.sendall(_attach_request(stdin, stdout, stderr, detach_keys))
        protocol.read_line(connection)
        return connection

    def resize(self, height: int, width: int) -> None:
        """Tell the terminal its size in characters; nothing happens without one."""
        self._ask({"op": "resize", "height": height, "width": width})

    def kill(self, number: int = signal.SIGKILL, *, all: bool = False) -> None:
        """Send a signal to the process, or to all in its cgroup. Raise Conflict when it does not run."""
        if self._status is not None or "error" in self._ask({"op": "kill", "signal": int(number), "all": all}):
            raise Conflict("it is not running")

    def wait(self, timeout: float | None = None) -> ExitStatus | None:
        """Wait for the end, at most `timeout` seconds. Return None when it still runs, or when the runtime was closed
        before it ended."""
        self._ended.wait(timeout)
        return self._status

    def _connect(self) -> socket.socket:
        try:
            return protocol.connect(str(self._directory))
        except FileNotFoundError:
            raise NotFound("the process is gone") from None
        except OSError as error:
            raise Conflict(f"the process has ended: {error.strerror}") from None

    def _ask(self, request: dict[str, Any], timeout: float | None = 10.0) -> dict[str, Any]:
        with self._connect() as connection:
            return _exchange(connection, request, timeout)

    def _told(self, message: dict[str, Any]) -> None:
        match message.get("event"):
            case "oom":
                threading.Thread(target=self._on_oom, daemon=True).start()
            case "exit":
                self._settle(_status(message), tell=True)
            case "deleted":
                self._lingers = bool(message.get("clients"))
                self._forgotten.set()

    def _gone(self) -> None:
        """Note that the monitor is gone. If it had not told of the end, it was killed."""
        if self._started and self._status is None and not self._forgotten.is_set():
            status = read_exit(self._directory) or self._lost()
            self._settle(status, tell=True)
        self._forgotten.set()

    def _left(self) -> None:
        """Let nobody wait for what the monitor would tell: the runtime is closed, and does not hear it."""
        self._ended.set()
        self._forgotten.set()

    def _lost(self) -> ExitStatus:
        """Make sure that nothing is left of a process whose monitor was killed."""
        with suppress(ProcessLookupError, PermissionError):
            if self._pid:
                os.kill(self._pid, signal.SIGKILL)
        return ExitStatus(128 + signal.SIGKILL, signal.SIGKILL, False, time.time_ns(), lost=True)

    def _settle(self, status: ExitStatus, *, tell: bool) -> None:
        if self._status is None:
            self._status = status
            self._ended.set()
            if tell:
                threading.Thread(target=self._on_exit, args=(status,), daemon=True).start()

    def _quit(self) -> None:
        """End the monitor of a process that never started. It is told over the connection that is open, since the
        directory with its socket may be gone already."""
        with suppress(OSError):  # it has ended by itself
            if self._watching is not None:
                self._watching.sendall(protocol.encode({"op": "quit"}))
        self._await_monitor()

    def _await_monitor(self) -> None:
        """Wait until the monitor has let go of the task, and is gone unless it still serves clients."""
        self._forgotten.wait(DELETE_SECONDS)
        if self._monitor and not self._lingers:
            with suppress(ProcessLookupError):
                pidfd = os.pidfd_open(self._monitor)
                try:
                    poll = select.poll()  # select(2) takes no descriptor above 1023
                    poll.register(pidfd, select.POLLIN)
                    poll.poll(DELETE_SECONDS * 1000)
                finally:
                    os.close(pidfd)

    def _remove_directory(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)


class Unlaunched:
    """Connections to a monitor that is not made yet: what is asked on them waits until the monitor has them."""

    def __init__(self) -> None:
        self._attached: list[socket.socket] = []
        self._theirs: list[socket.socket] = []

    def attach(self, stdin: bool, stdout: bool, stderr: bool, detach_keys: bytes) -> socket.socket:
        """Return a connection that is attached from the beginning of the process."""
        ours = self._ask(_attach_request(stdin, stdout, stderr, detach_keys))
        self._attached.append(ours)
        return ours

    def _ask(self, request: bytes) -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.sendall(request)
        self._theirs.append(theirs)
        return ours

    def start(self, launch: Callable[[Sequence[socket.socket]], None]) -> dict[str, Any]:
        """Have `launch` make the monitor, with all connections. Return its answer to the request to start."""
        try:
            with self._ask(protocol.encode({"op": "start"})) as connection:
                launch(self._theirs)
                self._close_theirs()
                for attached in self._attached:
                    protocol.read_line(attached)
                return _exchange(connection, None, _ANSWER_SECONDS)
        finally:
            self._close_theirs()

    def _close_theirs(self) -> None:
        while self._theirs:
            self._theirs.pop().close()
