"""The fork server: a small process that forks monitors and runtime commands for one engine.

It is started once, holds no third-party code and no data, and ends when the engine's end of its socket closes; the
monitors it forked stay. Requests are JSON messages with descriptors on a SOCK_SEQPACKET socket, answered in order.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import traceback
from typing import Any, NoReturn

from lamina.linux.files import make_private_by_default
from lamina.linux.processes import become_subreaper, name_process, set_limit
from lamina.runtime.monitor import protocol
from lamina.runtime.monitor.monitor import Monitor
from lamina.runtime.monitor.peers import ignore_signals
from lamina.runtime.monitor.programs import spawn, wait_at_most

MESSAGE_LIMIT = 1 << 18


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
        while True:
            raw, fds, _, _ = socket.recv_fds(server, MESSAGE_LIMIT, 4)
            if not raw:
                return
            request = json.loads(raw)
            pid = os.fork()
            if pid == 0:
                _child(server, request, fds)
            for received in fds:
                os.close(received)
            server.send(json.dumps({"pid": pid}).encode())


def _child(server: socket.socket, request: dict[str, Any], fds: list[int]) -> NoReturn:
    server.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    status = 1
    try:
        if request["op"] == "monitor":
            _monitor(request, fds)
        else:
            _command(request, fds)
        status = 0
    except BaseException:  # a fork has nobody to raise to: it notes the error and ends
        _note(request, traceback.format_exc())
    finally:
        os._exit(status)


def _monitor(request: dict[str, Any], fds: list[int]) -> None:
    ignore_signals()
    name_process("lamina-monitor")
    become_subreaper()
    job = protocol.Job.load(request["job"])
    os.chdir("/")
    Monitor(job, socket.socket(fileno=fds[0])).run()


def _command(request: dict[str, Any], fds: list[int]) -> None:
    """Run one command with the descriptors given (stdin, stdout, stderr), for at most the seconds asked for, and write
    its exit code to the fourth."""
    become_subreaper()
    pid = spawn(request["command"], "/", request["hide"], (fds[0], fds[1], fds[2]))
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
