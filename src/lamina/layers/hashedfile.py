"""Writing a file and hashing it on the way, beside the work that makes its bytes."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from pathlib import Path

from lamina.formats.digest import Digest, new_hasher
from lamina.layers.tar.source import CHUNK
from lamina.linux.writing import full_disk_as_no_space, write_all

_AHEAD = 8
_FEW = 8  # pieces that are cheaper taken one by one than copied together

Pieces = tuple[bytes, ...]


class HashedFile:
    """A new file that one thread writes and another one hashes, in large pieces, while the caller makes more.

    A context manager: `finish` inside the block gives the digest; leaving the block closes the file, which stays where
    it is, whole or not. Failures of the threads come up at the next `write` or at `finish`.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._hasher = new_hasher()
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._helpers = (_Helper("layer-hasher", self._hash), _Helper("layer-writer", self._store))
        self.size = 0
        """Bytes taken so far."""

    def write(self, data: bytes, /) -> int:
        """Take bytes that must not change any more. Raise NoSpace and OSError, possibly for an earlier piece."""
        self.size += len(data)
        self._pending.append(data)
        self._pending_size += len(data)
        if self._pending_size >= CHUNK:
            self._raise_failure()
            pieces = self._take()
            for helper in self._helpers:
                helper.put(pieces)
        return len(data)

    def _take(self) -> Pieces:
        pieces = tuple(self._pending) if len(self._pending) <= _FEW else (b"".join(self._pending),)
        self._pending.clear()
        self._pending_size = 0
        return pieces

    def _hash(self, pieces: Pieces) -> None:
        for piece in pieces:
            self._hasher.update(piece)

    def _store(self, pieces: Pieces) -> None:
        for piece in pieces:
            write_all(self._file, piece)

    def _raise_failure(self) -> None:
        for helper in self._helpers:
            if helper.failure is not None:
                with full_disk_as_no_space():
                    raise helper.failure

    def _join(self) -> None:
        for helper in self._helpers:
            helper.join()

    def finish(self) -> Digest:
        """Write what is left and give the digest of it all. The file is not synced."""
        self._join()
        self._raise_failure()
        rest = self._take()
        self._hash(rest)
        with full_disk_as_no_space():
            self._store(rest)
        return Digest.from_hasher(self._hasher)

    def __enter__(self) -> HashedFile:
        return self

    def __exit__(self, *unused: object) -> None:
        self._join()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class _Helper:
    """A thread that does one thing with each batch of pieces, in order. It starts with the first batch."""

    def __init__(self, name: str, work: Callable[[Pieces], None]) -> None:
        self._name = name
        self._work = work
        self._queue: queue.Queue[Pieces | None] = queue.Queue(_AHEAD)
        self._thread: threading.Thread | None = None
        self.failure: BaseException | None = None

    def put(self, pieces: Pieces) -> None:
        """Hand pieces over; wait while the thread is too far behind."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._queue.put(pieces)

    def join(self) -> None:
        """Wait until all is done, and end the thread. May be called twice."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while (pieces := self._queue.get()) is not None:
            if self.failure is None:
                try:
                    self._work(pieces)
                except BaseException as error:  # write and finish raise it
                    self.failure = error
