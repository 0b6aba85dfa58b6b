"""Reading back what was written past the page cache, so that the pulls which follow a push find it there."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_LARGEST = 1 << 30  # bytes; more would push out of memory what others ask for
_WINDOW = 4 << 20
_PROBE = 16 * _WINDOW  # bytes after which a slow disk has shown itself
_SLOW = 100e6  # bytes in a second: such a disk has better things to do
_MOST = 16  # files that wait their turn


class Warmer:
    """Reads one file after the other in a thread of its own; nothing is copied. `close` may be called twice."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "registry-warmer")
        self._waiting = threading.BoundedSemaphore(_MOST)
        self._closing = False

    def warm(self, path: Path, size: int) -> None:
        """Read a file of `size` bytes soon, unless it is too large, or too much waits."""
        if size <= _LARGEST and self._waiting.acquire(blocking=False):
            self._thread.submit(self._read, path, size)

    def close(self) -> None:
        self._closing = True
        self._thread.shutdown(cancel_futures=True)

    def _read(self, path: Path, size: int) -> None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # collected meanwhile
            return
        finally:
            self._waiting.release()
        try:
            began = time.monotonic()
            for start in range(0, size, _WINDOW):
                if self._closing or (start >= _PROBE and start < (time.monotonic() - began) * _SLOW):
                    return
                last = min(start + _WINDOW, size) - 1
                os.posix_fadvise(fd, start, last + 1 - start, os.POSIX_FADV_WILLNEED)
                os.pread(fd, 1, last)  # waits for all of it
        except OSError:  # whoever asks for the blob will be told
            return
        finally:
            os.close(fd)
