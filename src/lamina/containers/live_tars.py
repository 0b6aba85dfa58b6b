"""Live directories as tars: for `cp` and `export`, and to fill a volume at its first use."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import msgspec

from lamina.containers.rooms import Rooms
from lamina.errors import InvalidInput, NotFound
from lamina.layers.capabilities import inside_capabilities
from lamina.layers.capture import Capture, EntrySink
from lamina.layers.disk_walk import Directories, WalkedFile, walk
from lamina.layers.entry import Entry, EntryType
from lamina.layers.tar.source import Readable
from lamina.layers.tar.writer import TarWriter
from lamina.layers.unpack import Style, unpack
from lamina.linux.paths import openat2
from lamina.linux.user_namespaces import IdMap, UserNamespace
from lamina.sandbox import mounts
from lamina.sandbox.spec import MountPoint


class _Below:
    """Put captured entries below a name in the archive; "" leaves them at the top."""

    def __init__(self, sink: EntrySink, name: str) -> None:
        self._sink = sink
        self._prefix = name if name in ("", "/") else f"{name}/"

    def add(self, entry: Entry, data: Readable | bytes | None = None) -> None:
        target = self._prefix + entry.target if entry.type is EntryType.HARDLINK else entry.target
        self._sink.add(replace(entry, path=self._prefix + entry.path, target=target), data)


class _SeenInside:
    """Give captured entries the owners that a container sees."""

    def __init__(self, sink: EntrySink, ids: IdMap) -> None:
        self._sink = sink
        self._ids = ids

    def add(self, entry: Entry, data: Readable | bytes | None = None) -> None:
        uid, gid = self._ids.to_inside(entry.uid, entry.gid)
        xattrs = {name: inside_capabilities(name, value, self._ids) for name, value in entry.xattrs.items()}
        self._sink.add(replace(entry, uid=uid, gid=gid, xattrs=xattrs), data)


def seen_inside(sink: EntrySink, ids: IdMap | None) -> EntrySink:
    """Return a sink that takes files with the host's owners, and passes them to `sink` as a container with `ids` sees
    them."""
    return _SeenInside(sink, ids) if ids is not None else sink


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


def copy_up(rooms: Rooms, key: str, points: Sequence[MountPoint], userns: UserNamespace | None = None) -> None:
    """Fill the empty volumes among `points` from the snapshot `key`, owner and mode of the directory included.

    What root owns in the snapshot belongs to root of `userns` in the volumes.
    Of a volume that is not empty, the part that is mounted is filled where it is an empty directory.
    """
    with ExitStack() as closing:
        empty = [(point, fd) for point in points if (fd := _empty_directory(point, closing)) is not None]
        if not empty:
            return
        snapshot = rooms.snapshots.get(key)
        root = snapshot.mount(userns)
        closing.callback(snapshot.unmount)
        for point, target in empty:
            _fill(target, root, point.destination, Path(point.source).parent)


def _empty_directory(point: MountPoint, closing: ExitStack) -> int | None:
    """Return a descriptor of the directory that is to be filled; None where nothing is."""
    if point.type != "volume" or not point.copy:
        return None
    part = point if point.subpath and os.listdir(point.source) else msgspec.structs.replace(point, subpath="")
    try:
        opened = mounts.open_part(part, point.source)
    except InvalidInput:
        return None  # it is not there, which the start will say
    try:
        directory = os.open(f"/proc/self/fd/{opened}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except NotADirectoryError:
        return None
    finally:
        os.close(opened)
    closing.callback(os.close, directory)
    return None if os.listdir(directory) else directory


def _fill(target: int, root: Path, path: str, folder: Path) -> None:
    """Fill the directory `target` with what is at `path` in `root`; `folder` takes the copy on its way."""
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
            _copy(source, target, folder)
        os.fchown(target, status.st_uid, status.st_gid)
        os.fchmod(target, stat.S_IMODE(status.st_mode))
    finally:
        os.close(source)


def _copy(source: int, target: int, folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder) as spool:
        writer = TarWriter(spool)
        write_directory(source, "", writer)
        writer.close()
        spool.seek(0)
        unpack(spool, target, Style.PLAIN)
