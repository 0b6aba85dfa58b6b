"""Starting the default daemon when a command finds it down."""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

from lamina.errors import Unavailable

PATIENCE = 15.0  # seconds a daemon may take until it listens
GLANCE = 0.02  # seconds between looks where the folder cannot be watched


def ensure_running(path: str) -> None:
    """Return when a daemon listens at the socket `path`; start one, detached, where there is none.

    Raises Unavailable, naming its log file, where it does not come up.
    """
    if _listens(path):
        return
    folder = Path(path).parent
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        log = folder / "daemon.log"
        child = _spawn(path, log)
    except OSError as error:
        message = f"no daemon runs at {path}, and it cannot be started ({error.strerror})"
        raise Unavailable(message, advice="Start one with `lamina daemon`, or set LAMINA_HOST") from error
    deadline = time.monotonic() + PATIENCE
    while not _listens(path):
        ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if (ended is not None and ended.si_pid == child and not _listens(path)) or time.monotonic() > deadline:
            raise Unavailable(f"the daemon did not start: {_last_line(log)}", advice=f"Its log is {log}")
        time.sleep(GLANCE)


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def _spawn(path: str, log: Path) -> int:
    """A daemon in a session of its own, its output in the log file. Its pid."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    command = [sys.executable, "-m", "lamina", "daemon", "--host", f"unix://{path}"]
    actions = [(os.POSIX_SPAWN_DUP2, nothing, 0), (os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
    try:
        return os.posix_spawn(sys.executable, command, os.environ, file_actions=actions, setsid=True)
    finally:
        os.close(output)
        os.close(nothing)


def _last_line(log: Path) -> str:
    with suppress(OSError):
        lines = log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"
    return "it left no log"
