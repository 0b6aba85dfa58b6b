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
from lamina.errors import CommandFailed, LaminaError
from lamina.formats.frames import STDERR, STDOUT, Deframer
from lamina.runtime.process import ExitStatus
from lamina.runtime.task import Task
from lamina.sandbox.sandboxes import Sandboxes
from lamina.sandbox.spec import SandboxSpec

_CHUNK = 64 * 1024
_TAIL = 4096  # characters of a failed command's output in its error
_GLANCE = 0.05  # seconds between tries to end a start


def run_task(
    sandboxes: Sandboxes, spec: SandboxSpec, root: Path, show: Callable[[str, bool], None], cancellation: Cancellation
) -> ExitStatus | None:
    """Run a sandbox's command to its end, and return how it ended.

    `show` takes its output, and whether it came from the standard error. Raise Cancelled.
    """
    task = sandboxes.create_task(spec)
    try:
        with task.attach(stdin=False) as output:
            _start(sandboxes, spec, task, root, cancellation)
            with cancellation.on_cancel(partial(_hang_up, output)):
                _follow(output, show)
            cancellation.check()
        return task.wait()
    finally:
        if task.pid:
            task.kill()
            task.wait()
        sandboxes.release(spec, task)


def _start(sandboxes: Sandboxes, spec: SandboxSpec, task: Task, root: Path, cancellation: Cancellation) -> None:
    """Start a sandbox's command. When the build is cancelled, end the start, even if the runtime program hangs."""
    is_over = threading.Event()
    try:
        with cancellation.on_cancel(partial(_end_start, task, is_over)):
            sandboxes.start(spec, lambda: (task, root))
    except LaminaError:
        cancellation.check()  # the reason is that it was ended
        raise
    finally:
        is_over.set()


def check_ended_well(
    status: ExitStatus | None, exit_codes: Sequence[int] = (0,), output: OutputTail | None = None
) -> None:
    """Raise CommandFailed for a command that ended with none of `exit_codes`, with the end of its output."""
    if status is not None and status.code not in exit_codes:
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
