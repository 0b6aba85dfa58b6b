"""A terminal that a test types at, with a command on its other side."""

from __future__ import annotations

import os
import pty
import select
import time
from collections.abc import Mapping, Sequence

from support.programs import need

PATIENCE = 60.0  # seconds until what must happen has not


class Terminal:
    """Starts `command` with `environment` on a pseudo-terminal of its own."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        program = need(command[0])
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.execve(program, list(command), dict(environment))
            finally:
                os._exit(127)  # never a second test session
        self.seen = b""

    def until(self, text: bytes) -> None:
        """Read until `text` was shown."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.seen:
            ready = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))[0]
            assert ready, f"{text!r} was never shown: {self.seen!r}"
            data = self._read()
            assert data, f"ended before it showed {text!r}: {self.seen!r}"

    def type(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def end(self) -> int:
        """Wait for the command's end; its exit code."""
        while self._read():
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self) -> bytes:
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return b""  # a pty says so when its other side is closed
        self.seen += data
        return data
