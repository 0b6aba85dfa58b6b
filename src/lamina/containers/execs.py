"""`exec`: further processes in running containers. They live as long as the engine knows their container runs."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path

from lamina.api.containers import ExecConfig
from lamina.containers.attach import parse_keys
from lamina.containers.container import Container
from lamina.containers.specs import SpecMaker, running_root
from lamina.errors import Conflict, InvalidInput, LaminaError, NotFound, Unavailable
from lamina.runtime.failure import NOT_EXECUTABLE, NOT_FOUND
from lamina.runtime.process import ExitStatus
from lamina.runtime.task import Exec

BEGIN_SECONDS = 10.0  # how long a resize waits for its exec to start, as dockerd does
REMEMBERED = 200  # ended execs that inspect still knows
WAITING = 1000  # execs that were created and not started yet
TEXT_LIMIT = 32 << 20  # characters of commands and environments, of all ended execs and of all that wait


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecDetails:
    """An exec as it is now. `exit_code` is None until it has ended, `pid` 0 unless it runs."""

    id: str
    container_id: str
    running: bool
    exit_code: int | None
    pid: int
    config: ExecConfig


@dataclass(slots=True)
class Execution:
    """One exec. `exit_code` is None until it has ended."""

    id: str
    container: Container
    wish: ExecConfig
    process: Exec | None = None
    started: bool = False
    exit_code: int | None = None
    pid: int = 0
    begun: threading.Event = field(default_factory=threading.Event)  # it runs, or could not be run
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def running(self) -> bool:
        return self.started and self.exit_code is None

    @property
    def size(self) -> int:
        """Return how many characters of text it holds."""
        return sum(map(len, (*self.wish.cmd, *self.wish.env)))


class Execs:
    """The execs of all containers. Thread-safe."""

    def __init__(self, specs: SpecMaker) -> None:
        self._specs = specs
        self._lock = threading.Lock()
        self._known: dict[str, Execution] = {}

    def create(self, container: Container, wish: ExecConfig) -> str:
        """Note what is to be run, and return its ID.

        Raise InvalidInput for a user or group that the container does not know, Conflict when it does not run or is
        paused.
        """
        task = container.running_task("exec")
        if not wish.cmd:
            raise InvalidInput("No exec command specified")
        parse_keys(wish.detach_keys, "escape")  # moby's word for it here (daemon/exec.go)
        if wish.user:
            self._specs.check_user(container, wish.user)
        task.expect_exec()
        execution = Execution(secrets.token_hex(32), container, wish)
        with self._lock:
            self._check_waiting(execution)
            self._known[execution.id] = execution
            self._forget_old()
        container.publish(f"exec_create: {' '.join(wish.cmd)}", execID=execution.id)
        return execution.id

    def _check_waiting(self, new: Execution) -> None:
        """Raise Unavailable when too many execs wait for their start, or hold too much text."""
        waiting = [new, *(execution for execution in self._known.values() if not execution.started)]
        if len(waiting) > WAITING or sum(execution.size for execution in waiting) > TEXT_LIMIT:
            raise Unavailable("too many execs wait for their start", advice="Start those that were created.")

    def _forget_old(self) -> None:
        """Keep the newest of the ended execs."""
        size = 0
        ended = [execution for execution in self._known.values() if execution.exit_code is not None]
        for number, execution in enumerate(reversed(ended)):
            size += execution.size
            if number >= REMEMBERED or size > TEXT_LIMIT:
                del self._known[execution.id]

    def get(self, id: str) -> Execution:
        """Raise NotFound."""
        with self._lock:
            execution = self._known.get(id)
        if execution is None:
            raise NotFound(f"No such exec instance: {id}", exec=id)
        return execution

    def start(
        self, id: str, *, detach: bool = False, tty: bool | None = None, size: tuple[int, int] | None = None
    ) -> socket.socket | None:
        """Run it; return its streams, as `runtime.process.Process.attach` has them, unless `detach`.

        Raise NotFound, Conflict when it was started before or its container does not run, and what
        `runtime.failure.explain` says when it cannot be run: its exit code is set then.
        """
        execution = self.get(id)
        container, wish = execution.container, execution.wish
        with self._lock:
            if execution.started:
                word = "is already" if execution.running else "has already been"
                raise Conflict(f"exec command {id} {word} running")
            execution.started = True
        root = running_root(container)
        try:
            connection = self._launch(execution, _sized(wish, size), root, detach)
        except BaseException as error:
            self._failed(execution, error)
            container.running_task("exec")  # where it has ended or been paused meanwhile, that is the reason
            if isinstance(error, OSError) and not root.exists():
                raise Conflict(f"container {container.id} is not running", container=container.id) from error
            raise
        container.publish(f"exec_start: {' '.join(wish.cmd)}", execID=id)
        return connection

    def _launch(self, execution: Execution, wish: ExecConfig, root: Path, detach: bool) -> socket.socket | None:
        """Let the container's monitor run it, and return its streams unless `detach`."""
        task = execution.container.running_task("exec")
        spec = self._specs.exec(execution.container, wish, root)
        stdin = wish.attach_stdin and not detach
        process = execution.process = task.exec(
            execution.id, spec, lambda status: self._ended(execution, status), stdin=stdin
        )
        connection = None
        if not detach:
            keys = parse_keys(wish.detach_keys)
            connection = process.attach(
                stdin=stdin, stdout=wish.attach_stdout, stderr=wish.attach_stderr, detach_keys=keys
            )
        try:
            execution.pid = process.start()
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        execution.begun.set()
        return connection

    def _failed(self, execution: Execution, error: BaseException) -> None:
        code = error.facts.get("exit_code") if isinstance(error, LaminaError) else None
        execution.exit_code = code if code in (NOT_FOUND, NOT_EXECUTABLE) else NOT_EXECUTABLE
        execution.begun.set()
        execution.ended.set()
        if execution.process is not None:
            with contextlib.suppress(LaminaError):  # the failure that led here is the one to tell
                execution.process.delete()

    def _ended(self, execution: Execution, status: ExitStatus) -> None:
        execution.exit_code = status.code
        execution.ended.set()
        execution.container.publish("exec_die", execID=execution.id, exitCode=str(status.code))

    def settle(self, id: str, seconds: float) -> None:
        """Wait, for at most `seconds`, until an exec whose output has ended is recorded as ended."""
        self.get(id).ended.wait(seconds)

    def resize(self, id: str, height: int, width: int) -> None:
        """Resize the terminal, after waiting for the start if that is under way. Raise NotFound, Conflict when it
        does not
        run."""
        execution = self.get(id)
        execution.begun.wait(BEGIN_SECONDS)
        if execution.process is None or not execution.running:
            raise Conflict(f"cannot resize exec {id}: it is not running", exec=id)
        execution.process.resize(height, width)

    def of(self, container: Container) -> list[str]:
        """Return the IDs of the container's execs that run."""
        with self._lock:
            return [
                id for id, execution in self._known.items() if execution.container is container and execution.running
            ]

    def forget(self, container: Container) -> None:
        """Drop all execs of a container that is gone."""
        with self._lock:
            for id in [id for id, execution in self._known.items() if execution.container is container]:
                del self._known[id]

    def close(self) -> None:
        """End those that are about to start: who waits for them would wait for the runtime program."""
        with self._lock:
            starting = [execution.process for execution in self._known.values() if not execution.begun.is_set()]
        for process in starting:
            if process is not None:
                with contextlib.suppress(LaminaError):  # it has just failed by itself
                    process.abort()

    def inspect(self, id: str) -> ExecDetails:
        """Return what is known of an exec. Raise NotFound."""
        execution = self.get(id)
        return ExecDetails(
            id=execution.id,
            container_id=execution.container.id,
            running=execution.running,
            exit_code=execution.exit_code,
            pid=execution.pid if execution.running else 0,
            config=execution.wish,
        )


def _sized(wish: ExecConfig, size: tuple[int, int] | None) -> ExecConfig:
    if size is None:
        return wish
    fields = {name: getattr(wish, name) for name in wish.__struct_fields__}
    return ExecConfig(**(fields | {"console_size": size}))
