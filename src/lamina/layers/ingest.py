"""Taking in a layer: its bytes kept exactly, hashed and indexed, in one pass."""

from __future__ import annotations

from pathlib import Path

from lamina.layers.hashedfile import HashedFile
from lamina.layers.index.writer import IndexWriter
from lamina.layers.layer import Ingested
from lamina.layers.limits import Limits
from lamina.layers.tar.reader import read_tar
from lamina.layers.tar.source import CHUNK, Readable
from lamina.linux.writing import full_disk_as_no_space

__all__ = ["Ingested", "ingest"]


def ingest(stream: Readable, tar_path: Path, index_path: Path, limits: Limits | None = None) -> Ingested:
    """Write the plain tar that `stream` gives to `tar_path`, byte for byte, and its index to `index_path`.

    What stands behind the end of the archive is part of the layer too: it is kept and hashed, within the limits.
    Neither file is synced. Raises InvalidInput for what is no tar or no layer, TooLarge beyond a limit, NoSpace; the
    files are then to be deleted by the caller, as after a crash.
    """
    limits = limits or Limits()
    index = IndexWriter()
    entries = file_bytes = 0
    with HashedFile(tar_path) as kept:
        copy = _Copying(stream, kept)
        for member in read_tar(copy, limits):
            index.add(member.entry)
            entries += 1
            file_bytes += member.entry.told_size
        copy.drain(limits)
        diff_id = kept.finish()
    with full_disk_as_no_space():
        index.write(index_path, kept.size, tars=[tar_path])
    return Ingested(diff_id, kept.size, entries, file_bytes)


class _Copying:
    """A stream whose bytes go to a file as they are read."""

    def __init__(self, stream: Readable, kept: HashedFile) -> None:
        self._stream = stream
        self._kept = kept

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        if data:
            self._kept.write(data)
        return data

    def drain(self, limits: Limits) -> None:
        """Copy what is left of the stream."""
        while self.read(CHUNK):
            limits.check_expanded(self._kept.size)
