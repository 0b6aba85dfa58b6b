"""One command in a sandbox, from its start to its end. Its output is passed on; a cancelled build ends it at once."""

from __future__ import annotations

import codecs
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from lamina.cancellation import Cancellation
from lamina.errors import Cancelled, CommandFailed, LaminaError
from lamina.formats.frames import STDERR, STDOUT, Deframer
from lamina.progress import ignore
from lamina.runtime.process import ExitStatus
from lamina.runtime.task import Task
from lamina.sandbox.sandboxes import Sandboxes
from lamina.sandbox.spec import SandboxSpec

_CHUNK = 64 * 1024
_TAIL = 4096  # characters of a failed command's output in its error
_GLANCE = 0.05  # seconds between tries to end a start


class StepTask:
    """The task of one step. It has its monitor from the beginning, and runs once.

    `spec` need only say who the sandbox belongs to and in which cgroup it is; `run` gets the whole one.
    """

    def __init__(self, sandboxes: Sandboxes, spec: SandboxSpec) -> None:
        """Raise what `Sandboxes.create_task` raises."""
        self._sandboxes = sandboxes
        self._spec = spec
        self._is_closed = False
        self._task = sandboxes.create_task(spec)
        try:
            self._output = self._task.attach(stdin=False)
        except BaseException:
            sandboxes.release(spec, self._task)
            raise

    def run(
        self,
        spec: SandboxSpec,
        root: Path,
        show: Callable[[str, bool], None],
        cancellation: Cancellation,
        on_start: Callable[[], None] = ignore,
    ) -> ExitStatus:
        """Run a sandbox's command to its end, and return how it ended. No process of it is left then.

        `show` takes its output, and whether it came from the standard error. `on_start` is called when the command
        runs. Raise Cancelled.
        """
        self._spec = spec
        try:
            with self._output:
                self._start(root, cancellation)
                on_start()
                with cancellation.on_cancel(partial(_hang_up, self._output)):
                    _follow(self._output, show)
                cancellation.check()
            status = self._task.wait()
        finally:
            if self._task.pid:
                self._task.kill()
                self._task.wait()
        if status is None:
            raise Cancelled("the engine was closed before the command had ended")
        return status

    def _start(self, root: Path, cancellation: Cancellation) -> None:
        """Start the command. When the build is cancelled, end the start, even if the runtime program hangs."""
        is_over = threading.Event()
        try:
            with cancellation.on_cancel(partial(_end_start, self._task, is_over)):
                self._sandboxes.start(self._spec, lambda: (self._task, root))
        except LaminaError:
            cancellation.check()  # the reason is that it was ended
            raise
        finally:
            is_over.set()

    def close(self) -> None:
        """Give back all that the step held, except its root. The command has ended, or never ran.

        A second call does nothing.
        """
        if not self._is_closed:
            self._is_closed = True
            self._output.close()
            self._sandboxes.release(self._spec, self._task)


def check_ended_well(status: ExitStatus, exit_codes: Sequence[int] = (0,), output: OutputTail | None = None) -> None:
    """Raise CommandFailed for a command that ended with none of `exit_codes`, with the end of its output."""
    if status.code not in exit_codes:
        facts = {"output": output.text} if output else {}
        raise CommandFailed("out of memory" if status.oom_killed else "", exit_code=status.code, **facts)


def _follow(source: socket.socket, show: Callable[[str, bool], None]) -> None:
    """Pass all output of an attached `source` (Docker's stream frames) to `show` until it ends.

    `show` takes the text, and whether it came from the standard error. Bytes that are no UTF-8 become the replacement
    character. A character may be cut between two frames.
    """
    decoders = {number: codecs.getincrementaldecoder("utf-8")("replace") for number in (STDOUT, STDERR)}
    deframer = Deframer()
    while piece := source.recv(_CHUNK):
        for stream, data in deframer.feed(piece):
            if text := decoders[STDERR if stream == STDERR else STDOUT].decode(data):
                show(text, stream == STDERR)


class OutputTail:
    """Pass a command's output on, and keep the end of it for the error if the command fails."""

    def __init__(self, show: Callable[[str, bool], None]) -> None:
        self._show = show
        self.text = ""

    def show(self, text: str, error: bool) -> None:
        self.text = (self.text + text)[-_TAIL:]
        self._show(text, error)


def _end_start(task: Task, is_over: threading.Event) -> None:
    """Have a thread end the start of a task, which may not have come to the runtime program yet."""

    def end() -> None:
        while not is_over.wait(_GLANCE):
            with suppress(LaminaError):  # its monitor is gone, and the start has failed
                if task.abort():
                    return

    threading.Thread(target=end, name="lamina-end-start", daemon=True).start()


def _hang_up(source: socket.socket) -> None:
    """End the output for the thread that waits for it in `_follow`. It may be called at any time."""
    with suppress(OSError):  # it has ended by itself
        source.shutdown(socket.SHUT_RDWR)
