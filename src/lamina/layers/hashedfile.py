"""Writing a file and hashing it on the way, beside the work that makes its bytes."""

from __future__ import annotations

import os
import queue
import threading
from pathlib import Path

from lamina.formats.digest import Digest, new_hasher
from lamina.layers.tar.source import CHUNK
from lamina.linux.writing import full_disk_as_no_space, write_all

_AHEAD = 8


class HashedFile:
    """A new file that a thread writes and hashes in large pieces while the caller makes more.

    A context manager: `finish` inside the block gives the digest; leaving the block closes the file, which stays where
    it is, whole or not. Failures of the thread come up at the next `write` or at `finish`.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._hasher = new_hasher()
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._queue: queue.Queue[bytes | None] = queue.Queue(_AHEAD)
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None
        self.size = 0
        """Bytes taken so far."""

    def write(self, data: bytes, /) -> int:
        """Take bytes that must not change any more. Raise NoSpace and OSError, possibly for an earlier piece."""
        self.size += len(data)
        self._pending.append(data)
        self._pending_size += len(data)
        if self._pending_size >= CHUNK:
            self._hand_over()
        return len(data)

    def _hand_over(self) -> None:
        self._raise_failure()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="layer-writer", daemon=True)
            self._thread.start()
        self._queue.put(self._take())

    def _take(self) -> bytes:
        piece = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
        self._pending.clear()
        self._pending_size = 0
        return piece

    def _run(self) -> None:
        while (piece := self._queue.get()) is not None:
            if self._failure is None:
                try:
                    self._store(piece)
                except BaseException as error:  # write and finish raise it
                    self._failure = error

    def _store(self, piece: bytes) -> None:
        self._hasher.update(piece)
        write_all(self._file, piece)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            with full_disk_as_no_space():
                raise self._failure

    def _join(self) -> None:
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def finish(self) -> Digest:
        """Write what is left and give the digest of it all. The file is not synced."""
        self._join()
        self._raise_failure()
        with full_disk_as_no_space():
            self._store(self._take() if self._pending else b"")
        return Digest.from_hasher(self._hasher)

    def __enter__(self) -> HashedFile:
        return self

    def __exit__(self, *unused: object) -> None:
        self._join()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
