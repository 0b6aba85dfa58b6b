"""Writing a layer: its tar, its digest and its index in one pass, from entries or from a tar that is kept exactly."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from lamina.cancellation import NEVER, Cancellation, CheckedWriter
from lamina.layers.entry import Entry, opaque_entry, whiteout_entry
from lamina.layers.hashedfile import HashedFile
from lamina.layers.index.writer import IndexWriter
from lamina.layers.layer import Ingested
from lamina.layers.limits import Limits
from lamina.layers.tar.reader import read_tar
from lamina.layers.tar.source import CHUNK, Readable
from lamina.layers.tar.writer import TarWriter
from lamina.linux.writing import full_disk_as_no_space


class LayerBuilder:
    """Writes one layer's tar and index. A context manager; leaving it without `finish` leaves two broken files.

    The caller gives entries in the order they shall have: directories before what is in them, files before hard links
    to them. The same entries give the same bytes. Not thread-safe.
    """

    def __init__(self, tar_path: Path, index_path: Path, cancellation: Cancellation = NEVER) -> None:
        """`cancellation` makes `add` raise Cancelled."""
        self._tar_path = tar_path
        self._index_path = index_path
        self._kept = HashedFile(tar_path)
        self._writer = TarWriter(CheckedWriter(self._kept, cancellation))
        self._index = IndexWriter()
        self.entries = 0
        """Members written so far."""
        self.file_bytes = 0
        """Bytes of the files written so far, holes and the texts of symlinks included."""

    def add(self, entry: Entry, data: Readable | bytes | None = None) -> None:
        """Put `entry` into the layer; `data` holds its `stored_size` bytes, as TarWriter.add takes them.

        The entry's `data_offset` is ignored. Raise InvalidInput for data that is too short, NoSpace, OSError.
        """
        start = self._writer.add(entry, data)
        self._index.add(entry if start == entry.data_offset else _placed(entry, start))
        self.entries += 1
        self.file_bytes += entry.told_size

    def whiteout(self, path: str, mtime_ns: int = 0) -> None:
        """Delete `path` of the layers below."""
        self.add(whiteout_entry(path, mtime_ns))

    def opaque(self, directory: str, mtime_ns: int = 0) -> None:
        """Hide the files that the layers below have in `directory` ("" is the root)."""
        self.add(opaque_entry(directory, mtime_ns))

    def finish(self) -> Ingested:
        """End the archive, write the index and return the layer's digest. Neither file is synced. Call it once."""
        self._writer.close()
        with self._kept:
            diff_id = self._kept.finish()
        with full_disk_as_no_space():
            self._index.write(self._index_path, self._kept.size, tars=[self._tar_path])
        return Ingested(diff_id, self._kept.size, self.entries, self.file_bytes)

    def __enter__(self) -> LayerBuilder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kept.__exit__(kind, error, trace)


def _placed(entry: Entry, data_offset: int) -> Entry:
    """Return `entry` with another data offset. It runs for every file, and dataclasses.replace is many times slower."""
    return Entry(
        entry.path,
        entry.type,
        entry.mode,
        entry.uid,
        entry.gid,
        entry.size,
        entry.mtime_ns,
        entry.target,
        entry.major,
        entry.minor,
        entry.xattrs,
        entry.uname,
        entry.gname,
        entry.sparse,
        data_offset,
    )


def ingest(stream: Readable, tar_path: Path, index_path: Path, limits: Limits | None = None) -> Ingested:
    """Write the plain tar in `stream` to `tar_path`, byte for byte, and its index to `index_path`.

    What stands behind the end of the archive is part of the layer too: it is kept and hashed, within the limits.
    Neither file is synced. Raise InvalidInput for what is no tar or no layer, TooLarge beyond a limit, NoSpace; the
    files are then to be deleted by the caller, as after a crash.
    """
    limits = limits or Limits()
    index = IndexWriter()
    entries = file_bytes = 0
    with HashedFile(tar_path) as file:
        copy = _Copying(stream, file)
        for member in read_tar(copy, limits):
            index.add(member.entry)
            entries += 1
            file_bytes += member.entry.told_size
        copy.drain(limits)
        diff_id = file.finish()
    with full_disk_as_no_space():
        index.write(index_path, file.size, tars=[tar_path])
    return Ingested(diff_id, file.size, entries, file_bytes)


class _Copying:
    """A stream whose bytes go to a file as they are read."""

    def __init__(self, stream: Readable, copy: HashedFile) -> None:
        self._stream = stream
        self._kept = copy

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        if data:
            self._kept.write(data)
        return data

    def drain(self, limits: Limits) -> None:
        """Copy what is left of the stream."""
        while self.read(CHUNK):
            limits.check_expanded(self._kept.size)
