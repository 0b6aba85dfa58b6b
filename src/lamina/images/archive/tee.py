"""A stream that shows what passes through it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lamina.formats.digest import Digest
from lamina.layers.tar.source import CHUNK, Readable

if TYPE_CHECKING:
    from hashlib import _Hash


class Tee:
    """A stream whose bytes are hashed, counted and copied as they are read."""

    def __init__(self, stream: Readable, hasher: _Hash | None, watch: Callable[[int], None]) -> None:
        self._stream = stream
        self._hasher = hasher
        self._watch = watch
        self._copy: Callable[[bytes], object] | None = None
        self.count = 0
        watch(0)

    def copy_to(self, write: Callable[[bytes], object]) -> None:
        """From now on give every piece to `write` too."""
        self._copy = write

    def read(self, size: int, /) -> bytes:
        """See Readable."""
        piece = self._stream.read(size)
        if piece:
            self.count += len(piece)
            if self._hasher is not None:
                self._hasher.update(piece)
            if self._copy is not None:
                self._copy(piece)
            self._watch(self.count)
        return piece

    def drain(self) -> None:
        """Read to the end."""
        while self.read(CHUNK):
            pass

    def digest(self) -> Digest | None:
        """The digest of what has been read, None without a hasher."""
        return Digest.from_hasher(self._hasher) if self._hasher is not None else None
