"""Taking mounts away without waiting for the disk.

The last user of an overlay writes the whole file system of its upper directory to the disk (ovl_sync_fs in
fs/overlayfs/super.c), which takes 3 to 40 ms. Here the mount is detached at once, so that nobody sees it any more,
while a descriptor keeps the overlay alive. Closing that descriptor in another thread does the writing.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path

from lamina.snapshots.mounts import unmount_all

_THREADS = 4


class Unmounting:
    """Detaches mounts by key, and ends them in the background. Thread-safe."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, "lamina-unmount")
        self._lock = threading.Lock()
        self._ending: dict[str, Future[None]] = {}

    def detach(self, key: str, target: Path) -> None:
        """Detach every mount at `target`. The caller makes sure that the former mount of `key` has ended."""
        held = -1
        with suppress(FileNotFoundError):
            held = os.open(target, os.O_PATH | os.O_CLOEXEC)
        try:
            unmount_all(target)
        finally:
            if held >= 0:
                self._end_later(key, held)

    def _end_later(self, key: str, held: int) -> None:
        with self._lock:
            try:
                self._ending[key] = self._threads.submit(self._end, key, held)
            except RuntimeError:  # closed already: a container ended while the engine was being closed
                os.close(held)

    def _end(self, key: str, held: int) -> None:
        os.close(held)
        with self._lock:
            del self._ending[key]

    def wait(self, key: str) -> None:
        """Wait until the mount of `key` has ended, so that its directories may be mounted again."""
        with self._lock:
            ending = self._ending.get(key)
        if ending is not None:
            ending.result()

    def wait_for_all(self) -> None:
        """Wait until every detached mount has ended: its file system is written, and free for its owner."""
        with self._lock:
            ending = list(self._ending.values())
        wait(ending)

    def close(self) -> None:
        """End everything that is detached. May be called twice."""
        self._threads.shutdown()
