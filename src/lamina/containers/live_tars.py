"""Live directories as tars: for `cp` and `export`, and to fill a volume at its first use."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lamina.containers.rooms import Rooms
from lamina.errors import NotFound
from lamina.layers.capture import Capture, EntrySink
from lamina.layers.disk_walk import Directories, WalkedFile, walk
from lamina.layers.entry import Entry, EntryType
from lamina.layers.tar.source import Readable
from lamina.layers.tar.writer import TarWriter
from lamina.layers.unpack import Style, unpack
from lamina.linux.paths import openat2
from lamina.sandbox.spec import MountPoint


class _Below:
    """Put captured entries below a name in the archive; "" leaves them at the top."""

    def __init__(self, sink: EntrySink, name: str) -> None:
        self._sink = sink
        self._prefix = name if name in ("", "/") else f"{name}/"

    def add(self, entry: Entry, data: Readable | bytes | None = None) -> None:
        target = self._prefix + entry.target if entry.type is EntryType.HARDLINK else entry.target
        self._sink.add(replace(entry, path=self._prefix + entry.path, target=target), data)


def write_directory(directory: int, name: str, sink: EntrySink) -> None:
    """Write the directory behind the descriptor `directory`, itself as `name` ("" leaves it out), and all in it.

    Follow no symlink; leave out sockets, and what vanishes meanwhile.
    """
    if name:
        status = os.fstat(directory)
        mtime_ns = status.st_mtime_ns // 1_000_000_000 * 1_000_000_000
        mode = stat.S_IMODE(status.st_mode)
        sink.add(Entry(name, EntryType.DIRECTORY, mode, status.st_uid, status.st_gid, mtime_ns=mtime_ns))
    capture = Capture(_Below(sink, name), live=True)
    with Directories(directory) as directories:
        for file in walk(directories):
            capture.add(file)


def write_file(parent: int, source: str, name: str, sink: EntrySink) -> None:
    """Write one file that is no directory, `source` in the directory `parent`, as `name`. Raise NotFound."""
    try:
        status = os.stat(source, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        raise NotFound(f"{source}: no such file or directory", path=source) from None
    renamed = _Renamed(sink, name)
    Capture(renamed, live=True).add(WalkedFile(source, parent, source, status))


class _Renamed:
    def __init__(self, sink: EntrySink, name: str) -> None:
        self._sink = sink
        self._name = name

    def add(self, entry: Entry, data: Readable | bytes | None = None) -> None:
        self._sink.add(replace(entry, path=self._name), data)


def copy_up(rooms: Rooms, key: str, points: Sequence[MountPoint]) -> None:
    """Fill the empty volumes among `points` from the snapshot `key`, owner and mode of the directory included."""
    empty = [point for point in points if point.type == "volume" and point.copy and not os.listdir(point.source)]
    if not empty:
        return
    snapshot = rooms.snapshots.get(key)
    root = snapshot.mount()
    try:
        for point in empty:
            _fill(Path(point.source), root, point.destination)
    finally:
        snapshot.unmount()


def _fill(volume: Path, root: Path, path: str) -> None:
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        source = openat2(root_fd, path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return  # the image has nothing there
    finally:
        os.close(root_fd)
    try:
        status = os.fstat(source)
        if os.listdir(source):
            _copy(source, volume)
        os.chown(volume, status.st_uid, status.st_gid)
        os.chmod(volume, stat.S_IMODE(status.st_mode))
    finally:
        os.close(source)


def _copy(source: int, volume: Path) -> None:
    with tempfile.TemporaryFile(dir=volume.parent) as spool:
        writer = TarWriter(spool)
        write_directory(source, "", writer)
        writer.close()
        spool.seek(0)
        target = os.open(volume, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            unpack(spool, target, Style.PLAIN)
        finally:
            os.close(target)
