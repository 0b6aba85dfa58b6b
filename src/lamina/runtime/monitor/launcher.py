"""A child that is forked before it is needed, and then becomes the OCI runtime program: no start waits for a fork."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import NoReturn

from lamina.linux.processes import name_process
from lamina.runtime.monitor.programs import Launch, become, spawn

_MESSAGE_LIMIT = 1 << 18
_DESCRIPTORS = 4  # three streams and the program


class Launcher:
    """Waits in a child of this process. The child ends with this process, and after `close`."""

    def __init__(self, close: Sequence[int] = ()) -> None:
        """`close` are descriptors that the child has no use for."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._connection = ours
        self._pid = os.fork()
        if self._pid == 0:
            for descriptor in close:
                os.close(descriptor)
            ours.close()
            _wait(theirs)
        theirs.close()

    def launch(self, launch: Launch, stdio: tuple[int, int, int], program: int = -1) -> int:
        """Have the child become the program, as `programs.become` does it; fork one if it is gone. Return its ID."""
        has_streams = min(stdio) >= 0
        request = {**asdict(launch), "streams": has_streams}
        parts = [*(stdio if has_streams else ()), *([program] if program >= 0 else [])]
        with self._connection, suppress(OSError):  # the child was killed, or has become the program already
            socket.send_fds(self._connection, [json.dumps(request).encode()], parts)
            return self._pid
        return spawn(launch, stdio, program)

    def close(self) -> None:
        """End the child, where it never became the program, and wait for its end."""
        if self._connection.fileno() >= 0:
            self._connection.close()
            with suppress(ChildProcessError):  # the loop has waited for it
                os.waitpid(self._pid, 0)


def _wait(connection: socket.socket) -> NoReturn:
    try:
        name_process("lamina-launcher")
        with connection:
            raw, parts, _, _ = socket.recv_fds(connection, _MESSAGE_LIMIT, _DESCRIPTORS)
        if raw:
            request = json.loads(raw)
            stdio = (parts[0], parts[1], parts[2]) if request.pop("streams") else (-1, -1, -1)
            program = parts[-1] if len(parts) in (1, _DESCRIPTORS) else -1
            become(Launch(**request), stdio, program)
    finally:
        os._exit(0)
