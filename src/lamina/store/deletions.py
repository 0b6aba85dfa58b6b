"""Deleting files that nothing refers to any more, beside the work that dropped them.

To delete a large file the kernel has to free its blocks: 4 ms of processor time for 90 MB on ext4, and the longer the
busier the disk is. Nobody needs to wait for that. A crash leaves the files in `ingest/`, which the next start sweeps.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Sequence
from pathlib import Path

_LARGE = 4 << 20  # bytes; what is smaller is deleted faster than a thread wakes up
_ROOMY = 4 << 30  # bytes; with less space left, whoever removes something may need the room at once
_log = logging.getLogger(__name__)


class Deletions:
    """A thread that deletes files; it starts with the first ones. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        """`folder` is on the file system of the files."""
        self._folder = folder
        self._queue: queue.SimpleQueue[Sequence[Path] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    def delete(self, files: Sequence[Path]) -> None:
        """Delete small files now and large ones soon; all of them now where the disk is nearly full."""
        large = [file for file in files if _size(file) >= _LARGE]
        if large and self._free() >= _ROOMY and self._hand_over(large):
            files = [file for file in files if file not in large]
        _unlink(files)

    def _hand_over(self, files: Sequence[Path]) -> bool:
        with self._lock:
            if self._closed:
                return False
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="lamina-store-delete", daemon=True)
                self._thread.start()
            self._queue.put(files)
            return True

    def close(self) -> None:
        """Wait until all is deleted, and end the thread. May be called twice; later files are deleted at once."""
        with self._lock:
            self._closed = True
            thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            thread.join()

    def _run(self) -> None:
        while (files := self._queue.get()) is not None:
            try:
                _unlink(files)
            except OSError as error:  # the next start sweeps them
                _log.warning("cannot delete dropped files: %s", error)

    def _free(self) -> int:
        state = os.statvfs(self._folder)
        return state.f_bavail * state.f_frsize


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _unlink(files: Sequence[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
