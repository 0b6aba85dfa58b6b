"""Running programs that say what others made up: their output and their time are bounded, and nothing of them stays."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lamina.errors import TooLarge, Unavailable

_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended and what it wrote."""

    exit_code: int
    stdout: bytes
    stderr: bytes


def run_bounded(
    command: Sequence[str],
    *,
    limit: int,
    seconds: float,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    umask: int = -1,
) -> Finished:
    """Run `command` without input, in a session of its own, and return what it wrote.

    Raise TooLarge when both of its outputs together pass `limit` bytes, and Unavailable after `seconds`. In either case
    everything in its session is killed.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=environment,
        umask=umask,
        start_new_session=True,
    ) as program:
        try:
            stdout, stderr = _collect(program, limit, time.monotonic() + seconds)
            code = program.wait(max(0.0, seconds))
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            if isinstance(error, TimeoutError | subprocess.TimeoutExpired):
                raise Unavailable(f"{command[0]} took more than {seconds:g} seconds") from error
            raise
    return Finished(code, stdout, stderr)


def _collect(program: subprocess.Popen[bytes], limit: int, deadline: float) -> tuple[bytes, bytes]:
    """Read both outputs to their ends. Raise TooLarge, TimeoutError."""
    assert program.stdout is not None
    assert program.stderr is not None
    output = {program.stdout.fileno(): bytearray(), program.stderr.fileno(): bytearray()}
    with selectors.PollSelector() as open_ends:
        for descriptor in output:
            open_ends.register(descriptor, selectors.EVENT_READ)
        while open_ends.get_map():
            if time.monotonic() >= deadline:
                raise TimeoutError
            for key, _ in open_ends.select(deadline - time.monotonic()):
                piece = os.read(key.fd, _PIECE)
                output[key.fd] += piece
                if not piece:
                    open_ends.unregister(key.fd)
            if sum(map(len, output.values())) > limit:
                raise TooLarge(f"the program wrote more than {limit} bytes", limit=limit)
    stdout, stderr = output.values()
    return bytes(stdout), bytes(stderr)
