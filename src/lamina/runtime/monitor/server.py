"""The fork server: a small process that forks monitors and runtime commands for one engine.

It is started once, holds no third-party code and no data, and ends when the engine's end of its socket closes; the
monitors it forked stay. Requests are JSON messages with descriptors on a SOCK_SEQPACKET socket, answered in order.

A monitor is forked before it is needed: it waits for its request on a socket of its own, and ends with the server.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from lamina.linux.files import make_private_by_default
from lamina.linux.processes import become_subreaper, name_process, set_limit
from lamina.linux.sealed import SealedPrograms
from lamina.runtime.monitor import protocol
from lamina.runtime.monitor.monitor import Monitor
from lamina.runtime.monitor.peers import ignore_signals
from lamina.runtime.monitor.programs import Launch, spawn, wait_at_most

MESSAGE_LIMIT = 1 << 18
_DESCRIPTORS = 16  # with one message, at most
_END_MS = 2000  # milliseconds that a monitor nobody needs may take to end
_QUIET_MS = 10  # milliseconds without a request after which the next monitor is forked


def main(fd: int, descriptors: int) -> None:
    """Serve the socket `fd` until the other end closes. All that it starts may have so many `descriptors` open."""
    make_private_by_default()
    set_limit(descriptors)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # forked monitors are not waited for
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    name_process("lamina-spawner")
    gc.collect()
    gc.freeze()  # what is loaded now stays shared with every monitor
    with socket.socket(fileno=fd) as server:
        Server(server).run()


class Server:
    """Serve the requests of one engine."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._programs = SealedPrograms()
        self._spare: tuple[int, socket.socket] | None = None  # a monitor that waits for its request, by process ID
        self._quiet = select.poll()
        self._quiet.register(connection, select.POLLIN)

    def run(self) -> None:
        is_spare_due = False
        while True:
            if is_spare_due and not self._quiet.poll(_QUIET_MS):
                self._fork_spare()
            raw, fds, _, _ = socket.recv_fds(self._connection, MESSAGE_LIMIT, _DESCRIPTORS)
            if not raw:
                self._end_spare()
                return
            request = json.loads(raw)
            is_spare_due = request["op"] == "monitor"
            pid = self._monitor(request, raw, fds) if is_spare_due else self._command(request, fds)
            for received in fds:
                os.close(received)
            self._connection.send(json.dumps({"pid": pid}).encode())

    def _command(self, request: dict[str, Any], fds: list[int]) -> int:
        return self._fork(lambda: _command(request, fds), request)

    def _monitor(self, request: dict[str, Any], raw: bytes, fds: list[int]) -> int:
        """Hand the request to the monitor that waits, or fork one. Return its process ID."""
        program = self._programs.copy(request["sealable"]) if request["sealable"] else -1
        parts = [*fds, program] if program >= 0 else fds
        if self._spare is not None:
            (pid, control), self._spare = self._spare, None
            with control, suppress(OSError):  # somebody killed it
                socket.send_fds(control, [raw], parts)
                return pid
        return self._fork(lambda: _monitor(request, parts), request)

    def _fork_spare(self) -> None:
        if self._spare is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._spare = self._fork(lambda: _wait_for_request(theirs, ours), {}), ours

    def _end_spare(self) -> None:
        """End the monitor that waits, and wait for its end: nothing is left of an engine that has been closed."""
        if self._spare is not None:
            pid, control = self._spare
            with suppress(ProcessLookupError):
                end = os.pidfd_open(pid)
                control.close()
                poll = select.poll()
                poll.register(end, select.POLLIN)
                poll.poll(_END_MS)

    def _fork(self, work: Callable[[], None], request: dict[str, Any]) -> int:
        """Fork a process that does `work` and ends. Return its ID."""
        pid = os.fork()
        if pid == 0:
            self._connection.close()
            if self._spare is not None:
                self._spare[1].close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _run(work, request)
        return pid


def _run(work: Callable[[], None], request: dict[str, Any]) -> NoReturn:
    status = 1
    try:
        work()
        status = 0
    except BaseException:  # a fork has nobody to raise to: it notes the error and ends
        _note(request, traceback.format_exc())
    finally:
        os._exit(status)


def _wait_for_request(control: socket.socket, servers_end: socket.socket) -> None:
    """Be a monitor as soon as a request comes, or end with the server."""
    servers_end.close()
    _become_monitor()
    with control:
        raw, fds, _, _ = socket.recv_fds(control, MESSAGE_LIMIT, _DESCRIPTORS)
    if not raw:
        return
    request = json.loads(raw)
    _run(lambda: _serve(request, fds), request)


def _monitor(request: dict[str, Any], fds: list[int]) -> None:
    _become_monitor()
    _serve(request, fds)


def _become_monitor() -> None:
    ignore_signals()
    name_process("lamina-monitor")
    become_subreaper()
    os.chdir("/")


def _serve(request: dict[str, Any], fds: list[int]) -> None:
    job = protocol.Job.load(request["job"])
    count = 1 + request["connections"]
    listener, *connections = (socket.socket(fileno=fd) for fd in fds[:count])
    Monitor(job, listener, fds[count] if len(fds) > count else -1).run(connections)


def _command(request: dict[str, Any], fds: list[int]) -> None:
    """Run one command with the descriptors given (stdin, stdout, stderr), for at most the seconds asked for, and write
    its exit code to the fourth."""
    become_subreaper()
    pid = spawn(Launch(request["command"], "/", request["hide"]), (fds[0], fds[1], fds[2]))
    for fd in fds[:3]:
        os.close(fd)
    os.write(fds[3], str(wait_at_most(pid, request["seconds"])).encode())


def _note(request: dict[str, Any], text: str) -> None:
    directory = request.get("job", {}).get("directory")
    if directory:
        with open(os.path.join(directory, "monitor.err"), "a") as file:
            file.write(text)
    else:
        sys.stderr.write(text)
