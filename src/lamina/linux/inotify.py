"""inotify(7): learning that a file, or something in a directory, has changed."""

from __future__ import annotations

import os
import select
from contextlib import suppress

from lamina.linux.syscalls import Path, libc

_IN_MODIFY, _IN_CREATE, _IN_MOVED_TO = 0x2, 0x100, 0x80
_IN_NONBLOCK, _IN_CLOEXEC = 0o4000, 0o2000000


class Watch:
    """Becomes readable (`fileno`) when `path` is written to, or, for a directory, a file in it is written to, made, or
    moved there. A context manager."""

    def __init__(self, path: Path) -> None:
        self._fd = libc("inotify_init1", _IN_NONBLOCK | _IN_CLOEXEC)
        try:
            events = _IN_MODIFY | _IN_CREATE | _IN_MOVED_TO
            libc("inotify_add_watch", self._fd, os.fsencode(path), events, filename=path)
        except OSError:
            self.close()
            raise

    def fileno(self) -> int:
        return self._fd

    def wait(self, seconds: float) -> None:
        """Wait for a change, for at most `seconds`. The next call waits for a further change."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.poll(seconds * 1000)
        self.drain()

    def drain(self) -> None:
        """Forget what has been told so far."""
        with suppress(BlockingIOError):
            while os.read(self._fd, 65536):
                pass

    def close(self) -> None:
        """Stop watching. A second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()
