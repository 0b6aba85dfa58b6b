"""Start the default daemon when a command finds it down."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lamina.errors import Unavailable

PATIENCE = 20.0  # seconds a daemon may take until it listens


def ensure_running(path: str) -> None:
    """Make sure that a daemon listens at the socket `path`. Start one in the background if none does.

    If several commands run at once, one starts the daemon and the others wait. Raise Unavailable, naming the daemon's
    log file, if it does not come up.
    """
    if listens(path):
        return
    folder = Path(path).parent
    log = folder / "daemon.log"
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        with _alone(folder / "start.lock"):
            if not listens(path):
                _start(path, folder / f"ready.{os.getpid()}", log)
    except OSError as error:
        message = f"no daemon runs at {path}, and it cannot be started ({error.strerror})"
        raise Unavailable(message, advice="Start one with `lamina daemon`, or set LAMINA_HOST") from error
    if not listens(path):
        raise Unavailable(f"the daemon did not start: {_last_line(log)}", advice=f"Its log is {log}")


def listens(path: str) -> bool:
    """Return whether a server accepts connections at the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with os.fdopen(os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _start(path: str, notice: Path, log: Path) -> None:
    """Start a daemon and wait until it says that it is ready (sd_notify(3)), ends, or takes too long."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        ready.bind(str(notice))
        try:
            child = os.pidfd_open(_spawn(path, notice, log))
            try:
                _wait(ready, child)
            finally:
                os.close(child)
        finally:
            notice.unlink()


def _wait(ready: socket.socket, child: int) -> None:
    poll = select.poll()
    poll.register(ready, select.POLLIN)
    poll.register(child, select.POLLIN)
    deadline = time.monotonic() + PATIENCE
    while events := poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        if any(fd == child for fd, _ in events) or b"READY=1" in ready.recv(4096):
            return


def _spawn(path: str, notice: Path, log: Path) -> int:
    """Start a daemon in its own session, with its output in the log file. Return its pid."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    command = [sys.executable, "-m", "lamina", "daemon", "--host", f"unix://{path}"]
    environment = {**os.environ, "NOTIFY_SOCKET": str(notice)}
    actions = [(os.POSIX_SPAWN_DUP2, nothing, 0), (os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
    try:
        return os.posix_spawn(sys.executable, command, environment, file_actions=actions, setsid=True)
    finally:
        os.close(output)
        os.close(nothing)


def _last_line(log: Path) -> str:
    with suppress(OSError):  # the daemon may have died before it opened its log
        lines = log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"
    return "it left no log"
