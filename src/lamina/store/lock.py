"""One engine owns one data root."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

from lamina.errors import Conflict

_held: set[Path] = set()  # POSIX locks do not keep a process from itself
_guard = threading.Lock()


class RootLock:
    """An exclusive lock on a file, released by `release`, or by the kernel when the process dies.

    A POSIX record lock, because a child that was forked without exec must not keep it (a `flock` would pass to it).
    Raises Conflict, with the holder's process id in `facts["pid"]` where known.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        with _guard:
            if self._path in _held:
                raise _conflict(path, os.getpid())
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                text = os.pread(self._fd, 32, 0).decode(errors="replace").strip()
                os.close(self._fd)
                raise _conflict(path, int(text) if text.isdigit() else None) from error
            _held.add(self._path)
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give the lock up; second call is fine."""
        with _guard:
            if self._path in _held and self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
                _held.discard(self._path)


def _conflict(path: Path, pid: int | None) -> Conflict:
    holder = f"process {pid}" if pid else "another process"
    return Conflict(
        f"the data root {path.parent} is in use by {holder}",
        advice="Talk to that engine, or use another data root",
        pid=pid,
    )
