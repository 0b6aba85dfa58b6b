"""Live directories as tar archives, as `cp`, `export` and the first use of a volume need them."""

from __future__ import annotations

import os
import stat
from dataclasses import replace

from lamina.errors import NotFound
from lamina.layers.capture import Capture, EntrySink
from lamina.layers.disk_walk import Directories, Found, walk
from lamina.layers.entry import Entry, EntryType
from lamina.layers.tar.source import Readable


class _Below:
    """Puts captured entries below a name in the archive; "" leaves them at the top."""

    def __init__(self, sink: EntrySink, name: str) -> None:
        self._sink = sink
        self._prefix = name if name in ("", "/") else f"{name}/"

    def add(self, entry: Entry, data: Readable | bytes | None = None) -> None:
        target = self._prefix + entry.target if entry.type is EntryType.HARDLINK else entry.target
        self._sink.add(replace(entry, path=self._prefix + entry.path, target=target), data)


def write_directory(directory: int, name: str, sink: EntrySink) -> None:
    """Writes the directory that the descriptor `directory` holds, itself as `name` ("" leaves it out), and all in it.

    Never follows a symlink; what vanishes meanwhile is left out, sockets are passed over.
    """
    if name:
        status = os.fstat(directory)
        mtime_ns = status.st_mtime_ns // 1_000_000_000 * 1_000_000_000
        mode = stat.S_IMODE(status.st_mode)
        sink.add(Entry(name, EntryType.DIRECTORY, mode, status.st_uid, status.st_gid, mtime_ns=mtime_ns))
    capture = Capture(_Below(sink, name), live=True)
    with Directories(directory) as directories:
        for found in walk(directories):
            capture.add(found)


def write_file(parent: int, found_as: str, name: str, sink: EntrySink) -> None:
    """Writes one file that is no directory, `found_as` in `parent`, as `name`. Raises NotFound."""
    try:
        status = os.stat(found_as, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        raise NotFound(f"{found_as}: no such file or directory", path=found_as) from None
    renamed = _Renamed(sink, name)
    Capture(renamed, live=True).add(Found(found_as, parent, found_as, status))


class _Renamed:
    def __init__(self, sink: EntrySink, name: str) -> None:
        self._sink = sink
        self._name = name

    def add(self, entry: Entry, data: Readable | bytes | None = None) -> None:
        self._sink.add(replace(entry, path=self._name), data)
