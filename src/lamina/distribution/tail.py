"""A file that one thread writes and others read at the same time, so that steps of a pull or push overlap."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from lamina.formats.digest import Digest
from lamina.layers.tar.source import PieceReader
from lamina.progress import ignore

if TYPE_CHECKING:
    pass


class Ingest(Protocol):
    """What is being written: a store's ingest."""

    size: int

    def write(self, data: bytes, /) -> int: ...
    def restart(self) -> None: ...
    def read_at(self, offset: int, size: int) -> bytes: ...


class BegunAnew(Exception):
    """The writer went back to byte 0, so readers must start again."""


class Tail:
    """Passes writes on to an ingest, and tells waiting readers. `finish` or `fail` ends the waiting."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest
        self._changed = threading.Condition()
        self._digest: Digest | None = None
        self._problem: BaseException | None = None
        self._ended = False
        self._restarts = 0
        self.size = ingest.size

    def write(self, data: bytes) -> int:
        """Append, and wake the readers."""
        count = self._ingest.write(data)
        with self._changed:
            self.size = self._ingest.size
            self._changed.notify_all()
        return count

    def restart(self) -> None:
        """Begin again at byte 0. Readers that had begun get BegunAnew, and must start again."""
        with self._changed:
            self._ingest.restart()
            self.size = 0
            self._restarts += 1
            self._changed.notify_all()

    def finish(self, digest: Digest | None = None) -> None:
        """Tell the readers that no more bytes will come."""
        with self._changed:
            self._digest, self._ended = digest, True
            self._changed.notify_all()

    def fail(self, problem: BaseException) -> None:
        """Tell the readers that no more bytes will come, because of `problem`. They raise it."""
        with self._changed:
            if not self._ended:
                self._problem, self._ended = problem, True
            self._changed.notify_all()

    def wait(self, beyond: int, restarts: int | None = None) -> int:
        """Return the size, once it is above `beyond` or final. Raise what `fail` got, BegunAnew after a restart."""
        with self._changed:
            while True:
                if restarts is not None and restarts != self._restarts:
                    raise BegunAnew
                if self._problem is not None:
                    raise self._problem
                if self.size > beyond or self._ended:
                    return self.size
                self._changed.wait()

    def wait_for_end(self) -> None:
        """Wait until `finish` is called. Raise what `fail` was given."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended)
            if self._problem is not None:
                raise self._problem

    def finished(self) -> Digest | None:
        """Return the digest that `finish` was given."""
        return self._digest

    def read_at(self, offset: int, size: int) -> bytes:
        """Return bytes that are there already."""
        return self._ingest.read_at(offset, size)

    def reader(self, passed: Callable[[int], None] = ignore) -> TailReader:
        """Return a stream from byte 0 that waits for what is still to come.

        `passed` gets the position after each read.
        """
        return TailReader(self, self._restarts, passed)


class TailReader(PieceReader):
    """Reads a Tail from its beginning to its end."""

    def __init__(self, tail: Tail, restarts: int, passed: Callable[[int], None]) -> None:
        self._tail = tail
        self._restarts = restarts
        self._position = 0
        self._passed = passed

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            return self.readall()
        available = self._tail.wait(self._position, self._restarts)
        piece = self._tail.read_at(self._position, min(size, available - self._position))
        self._position += len(piece)
        self._passed(self._position)
        return piece
