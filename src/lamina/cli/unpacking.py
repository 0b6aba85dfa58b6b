"""Unpacking on this machine what a container sent: never outside the folder, whatever the archive says."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lamina.cli.copying import Placement, renamed
from lamina.errors import NotFound
from lamina.layers.unpack import Style
from lamina.layers.unpack import unpack as unpack_below

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class ChunkReader(io.RawIOBase):
    """Chunks as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        while not self._rest:
            piece = next(self._chunks, None)
            if piece is None:
                return 0
            self._rest = piece
        count = min(len(view), len(self._rest))
        view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def unpack(chunks: Iterator[bytes], top: str, placement: Placement, *, keep_owner: bool) -> None:
    """Unpack a tar whose names begin with `top` as `placement` says. Files are ours unless `keep_owner`.

    Raise what `lamina.layers.unpack` does: InvalidInput for a damaged archive, Conflict for a directory in a file's
    place or the other way round, Forbidden, NoSpace; and NotFound where there is nothing in the archive.
    """
    folder = os.open(placement.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        owner = None if keep_owner else (os.geteuid(), os.getegid())
        stream = io.BufferedReader(ChunkReader(chunks), 1 << 20)
        unpacked = unpack_below(
            stream,
            folder,
            Style.PLAIN,
            owner=owner,
            keep_kinds=True,
            rename=lambda path: renamed(path, top, placement.name) or None,  # the folder itself stays as it is
        )
    finally:
        os.close(folder)
    if not unpacked.entries:  # dockerd does this to names that are no UTF-8
        raise NotFound("the daemon found the path and then sent nothing of it")
